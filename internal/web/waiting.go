package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
)

// waitingRoutes send what waits on again, and end it.
func waitingRoutes(mux *router, net *network) {
	n := net.Node
	net.both(mux, "POST", "retry", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		handle(w, r, others, n.Retry, (*api.Client).Retry)
	})
	net.both(mux, "POST", "drop", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		handle(w, r, others, n.Drop, (*api.Client).Drop)
	})
}

// maxSelection is the most bytes of a selection.
const maxSelection = 16 << 20

// readSelection reads which packets are meant, and refuses what cannot be.
func readSelection(w http.ResponseWriter, r *http.Request) (sel api.Selection, ok bool) {
	err := readOne(http.MaxBytesReader(w, r.Body, maxSelection), &sel)
	if err == nil {
		err = sel.Check()
	}
	switch {
	case err == nil:
		return sel, true
	case tooLarge(err):
		refuse(w, http.StatusRequestEntityTooLarge, 0, fmt.Errorf("a selection: %w", err))
	default:
		refuse(w, http.StatusBadRequest, 0, fmt.Errorf("a selection: %w", err))
	}
	return sel, false
}

// A handler does something to waiting packets of this node, and tells how many it were.
type handler func(context.Context, node.Selection) (int, error)

// handle does something to a selection of the waiting packets of this node, and of the others.
func handle(w http.ResponseWriter, r *http.Request, others []mesh.Peer, here handler, there func(*api.Client, context.Context, api.Selection) (int, error)) {
	sel, ok := readSelection(w, r)
	if !ok {
		return
	}
	missing := namesOf(sel)
	var failed error
	total := 0
	took := func(count int, err error) {
		total += count
		var here *node.NotWaitingError
		var there *api.Problem
		var absent []string // of this node
		switch {
		case errors.As(err, &here):
			absent = here.Names
		case errors.As(err, &there) && len(there.Missing) > 0:
			absent = there.Missing
		case err != nil:
			failed = errors.Join(failed, err)
			return
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return !slices.Contains(absent, name) })
	}
	took(here(r.Context(), node.Selection{States: sel.States, Attributes: sel.Attributes, IDs: sel.IDs, Name: sel.Name}))
	for _, p := range others {
		took(there(api.NewClientOver(p), r.Context(), sel))
	}
	switch {
	case failed != nil:
		refuse(w, http.StatusServiceUnavailable, total, failed)
	case len(missing) > 0:
		refuse(w, http.StatusNotFound, total, &node.NotWaitingError{Names: missing}, missing...)
	default:
		reply(w, http.StatusOK, jsonType, api.Handled{Count: total})
	}
}

// namesOf are the states and ids of a selection, as errors name them.
func namesOf(sel api.Selection) (names []string) {
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			names, seen[name] = append(names, name), true
		}
	}
	for _, s := range sel.States {
		add(sel.Name(s))
	}
	for _, id := range sel.IDs {
		add(id.String())
	}
	return names
}
