package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A problem is an error on the wire.
type problem struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
	// Hello is of who answers, where the protocol is the problem, and of the other node of the
	// data folder, where that is; then At is how it is reached, unless it is who answers.
	Hello *Hello `json:"hello,omitempty"`
	At    string `json:"at,omitempty"`
}

// A remoteError is an error of the other side: its text, and what it is.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// A kind is an error that keeps what it is on its way over the wire.
type kind struct {
	name   string
	status int
	is     error
}

// kinds are the errors that cross the wire.
func kinds() []kind {
	return []kind{
		{"full", http.StatusInsufficientStorage, store.ErrFull},
		{"too-large", http.StatusRequestEntityTooLarge, store.ErrTooLarge},
		{"broken", http.StatusServiceUnavailable, store.ErrBroken},
		{"damaged", http.StatusConflict, packet.ErrDamagedBlob},
		{"session", http.StatusGone, errSession},
		{"self", http.StatusConflict, ErrSelf},
		{"refused", http.StatusForbidden, ErrRefused},
		{"gone", http.StatusGone, mesh.ErrGone},
	}
}

// errBad is a request that is wrong in itself.
var errBad = errors.New("a request that is wrong")

// problemOf is err as it goes over the wire.
func problemOf(err error) (problem, int) {
	p := problem{Kind: "other", Detail: err.Error()}
	status := http.StatusInternalServerError
	if errors.Is(err, errBad) {
		p.Kind, status = "bad", http.StatusBadRequest
	}
	for _, k := range kinds() {
		if errors.Is(err, k.is) {
			p.Kind, status = k.name, k.status
			break
		}
	}
	if copied := (*CopyError)(nil); errors.As(err, &copied) {
		p.Kind, p.Hello, p.At = "copy", &copied.Hello, copied.At
	}
	if len(p.Detail) > maxProblem/2 {
		p.Detail = strings.ToValidUTF8(p.Detail[:maxProblem/2], "") + "..."
	}
	return p, status
}

// err is the problem as an error here.
func (p problem) err() error {
	if p.Kind == "protocol" && p.Hello != nil && p.Hello.check() == nil {
		return &ProtocolError{Hello: *p.Hello}
	}
	if p.Kind == "copy" && p.Hello != nil && p.Hello.check() == nil && (p.At == "" || mesh.CheckAddress(p.At) == nil) {
		return &CopyError{Hello: *p.Hello, At: p.At}
	}
	e := &remoteError{text: p.Detail}
	for _, k := range kinds() {
		if k.name == p.Kind {
			e.is = k.is
		}
	}
	return e
}

// refuse answers a request with an error.
func refuse(w http.ResponseWriter, err error) {
	p, status := problemOf(err)
	reply(w, status, p)
}

func reply(w http.ResponseWriter, status int, p problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p) // an error here is the other side's going away
}

// answerError is the error in an answer whose status is no success. It reads the
// answer to its end and closes it.
func answerError(r *http.Response) error {
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("read the answer %s: %w", r.Status, err)
	}
	var p problem
	if json.Unmarshal(text, &p) != nil || p.Kind == "" {
		return fmt.Errorf("the other side answers %s; expected a node of Pumpkin", r.Status)
	}
	return p.err()
}
