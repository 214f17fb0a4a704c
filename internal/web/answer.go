package web

import (
	"encoding/json"
	"net/http"

	"github.com/recap/pumpkin/internal/api"
)

const jsonType = "application/json"

func reply(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // an error here is the client's going away
}

// refuse answers with an error. taken counts the packets that were taken, retried or dropped
// before it, and missing names what no waiting packet has.
func refuse(w http.ResponseWriter, status, taken int, err error, missing ...string) {
	reply(w, status, api.ProblemType, api.Problem{
		Title: http.StatusText(status), Status: status, Detail: err.Error(), Taken: taken, Missing: missing,
	})
}

// answer is the body, unless there is an error: then the node cannot say now.
func answer(w http.ResponseWriter, body any, err error) {
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, 0, err)
		return
	}
	reply(w, http.StatusOK, jsonType, body)
}

// valueOf gives the value that a request names, and refuses one that parse does not take.
func valueOf[T any](w http.ResponseWriter, text string, parse func(string) (T, error)) (T, bool) {
	value, err := parse(text)
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return value, err == nil
}
