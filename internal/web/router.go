package web

import "net/http"

// A router is a mux that knows what is registered with it.
type router struct {
	http.ServeMux
	patterns []string
}

func (r *router) HandleFunc(pattern string, handle func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, handle)
}
