package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
)

// healthRoutes are for what watches the node from outside.
func healthRoutes(mux *router, n *node.Node, copied func() string) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, jsonType, api.Health{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := unready(n, copied); err != nil {
			refuse(w, http.StatusServiceUnavailable, 0, err)
			return
		}
		reply(w, http.StatusOK, jsonType, api.Health{Status: "ok"})
	})
}

// unready says why the node takes no packets; nil is that it does.
func unready(n *node.Node, copied func() string) error {
	if copied != nil {
		if why := copied(); why != "" {
			return errors.New("the node is not ready: " + why)
		}
	}
	switch {
	case n.Leaving():
		return node.ErrDraining
	case !n.Started():
		return errors.New("the node is not ready: it is starting")
	}
	if seeds := n.Unready(); len(seeds) > 0 {
		return errors.New("the node is not ready: " + strings.Join(seeds, "; "))
	}
	if st := n.StoreStatus(); st.Held() != "" {
		return errors.New("the node is not ready: packets wait to be taken: " + st.Held())
	}
	return nil
}
