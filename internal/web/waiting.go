package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// waitingRoutes show what waits, send it on again, and end it.
func waitingRoutes(mux *router, net *network) {
	n := net.Node
	net.both(mux, "GET", "waiting/{state}", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) { showWaiting(w, r, n, others) })
	net.both(mux, "POST", "retry", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		handle(w, r, others, n.Retry, (*api.Client).Retry)
	})
	net.both(mux, "POST", "drop", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		handle(w, r, others, n.Drop, (*api.Client).Drop)
	})
}

// defaultShown is how many waiting packets are shown to who asks for no number.
const defaultShown = 100

// encode writes what waits in a state of n, and returns how many more there may
// be of limit.
func encode(enc *json.Encoder, ctx context.Context, n *node.Node, state packet.State, limit int) (int, error) {
	err := n.Show(ctx, state, func(p packet.Packet) bool {
		limit--
		shown := api.Shown{Node: n.Name(), File: packet.File{Packet: p, Group: n.Group()}}
		if p.Blob != nil {
			shown.Large = p.Blob.Size
		}
		return enc.Encode(shown) == nil && limit > 0
	})
	return limit, err
}

// asked reads what is to be shown, and refuses what cannot be.
func asked(w http.ResponseWriter, r *http.Request) (state packet.State, limit int, ok bool) {
	state, err := packet.ParseState(r.PathValue("state"))
	limit = defaultShown
	if text := r.URL.Query().Get("limit"); text != "" && err == nil {
		if limit, err = strconv.Atoi(text); err == nil && limit < 1 {
			err = fmt.Errorf("limit=%d: expected at least 1", limit)
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return state, limit, err == nil
}

// showWaiting streams what waits in a state of any node, one node after the other.
func showWaiting(w http.ResponseWriter, r *http.Request, n *node.Node, others []mesh.Peer) {
	state, limit, ok := asked(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", api.LinesType)
	enc := json.NewEncoder(w)
	limit, err := encode(enc, r.Context(), n, state, limit)
	for _, p := range others {
		if err != nil || limit <= 0 {
			break
		}
		err = api.NewClientOver(p).Waiting(r.Context(), state, limit, func(s api.Shown) error {
			limit--
			return enc.Encode(s)
		})
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
	}
}

// maxSelection is the most bytes of a selection.
const maxSelection = 16 << 20

// readSelection reads which packets are meant, and refuses what cannot be.
func readSelection(w http.ResponseWriter, r *http.Request) (sel api.Selection, ok bool) {
	err := readOne(http.MaxBytesReader(w, r.Body, maxSelection), &sel)
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
	took(here(r.Context(), node.Selection(sel)))
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
		add(string(s))
	}
	for _, id := range sel.IDs {
		add(id.String())
	}
	return names
}
