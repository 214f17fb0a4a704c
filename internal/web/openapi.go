package web

import (
	_ "embed"
	"fmt"
	"io"
	"net/http"
)

// document describes the API in OpenAPI 3.1. A test holds it and the server
// together.
//
//go:embed openapi.json
var document string

func openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	io.WriteString(w, document) // an error here is the client's going away
}

// hello is what stands where the page would.
func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "This is a node of Pumpkin. Its API is described at /api/v1/openapi.json.")
}
