package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// pauseRoutes have a seed take no more packets, and take them again: on this node,
// or on all, or on one of them.
func pauseRoutes(mux *router, net *network) {
	n := net.Node
	for verb, do := range map[string]func(context.Context, seed.Name) error{
		"pause":  n.Pause,
		"resume": func(_ context.Context, name seed.Name) error { return n.Resume(name) },
	} {
		net.both(mux, "POST", "seeds/{name}/"+verb, n.Peers, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
			if name, ok := valueOf(w, r.PathValue("name"), seedName); ok {
				done, err := pause(r.Context(), n, others, name, verb, r.URL.Query().Get("node"), do)
				if errors.Is(err, node.ErrNotHosted) {
					refuse(w, http.StatusNotFound, 0, err)
					return
				}
				answer(w, done, err)
			}
		})
	}
}

func seedName(text string) (seed.Name, error) {
	return seed.Name(text), packet.CheckName("seed's name", text)
}

// pause does it on the node of that name, or on all that host the seed. Those that
// it was done on before an error are named in it.
func pause(ctx context.Context, n *node.Node, others []mesh.Peer, name seed.Name, verb, only string, here func(context.Context, seed.Name) error) (api.Paused, error) {
	done := api.Paused{Nodes: []string{}}
	var failed error
	took := func(at string, err error) {
		switch {
		case err == nil:
			done.Nodes = append(done.Nodes, at)
		case errors.Is(err, node.ErrNotHosted), api.IsNotFound(err):
		default:
			failed = errors.Join(failed, fmt.Errorf("node %s: %w", at, err))
		}
	}
	if own := n.Name(); only == "" || only == own {
		took(own, here(ctx, name))
	}
	for _, p := range others {
		if at := p.Card().Node; only == "" || only == at {
			_, err := askOne(ctx, p, func(ctx context.Context, c *api.Client) ([]string, error) { return c.Turn(ctx, name, verb, "") })
			took(at, err)
		}
	}
	switch {
	case failed != nil && len(done.Nodes) > 0:
		return done, fmt.Errorf("done on %v, but %w", done.Nodes, failed)
	case failed != nil:
		return done, failed
	case len(done.Nodes) == 0 && only != "":
		return done, fmt.Errorf("%s seed %s: %w: no node %s of the network does", verb, name, node.ErrNotHosted, only)
	case len(done.Nodes) == 0:
		return done, fmt.Errorf("%s seed %s: %w, nor does any other of the network", verb, name, node.ErrNotHosted)
	}
	return done, nil
}
