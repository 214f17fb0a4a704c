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
	"github.com/recap/pumpkin/packet"
)

// forgetRoutes end what is kept for a seed that is away, or for all seeds of a node that
// is: on this node, or on all.
func forgetRoutes(mux *router, net *network) {
	net.both(mux, "POST", "forget/{name}", net.Node.Peers, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		name, ok := valueOf(w, r.PathValue("name"), func(text string) (string, error) { return text, packet.CheckName("name", text) })
		if !ok {
			return
		}
		out, err := forget(r.Context(), net.Node, others, name)
		if errors.Is(err, node.ErrNotAway) {
			refuse(w, http.StatusNotFound, 0, err)
			return
		}
		answer(w, out, err)
	})
}

// forget asks every node: what it knows, and what it keeps, is its own.
func forget(ctx context.Context, n *node.Node, others []mesh.Peer, name string) (api.Forgotten, error) {
	own, err := n.ForgetSeeds(ctx, name)
	all := api.Forgotten(own)
	known, failed := err == nil, error(nil)
	if err != nil && !errors.Is(err, node.ErrNotAway) {
		failed = err
	}
	for _, p := range others {
		out, err := askOne(ctx, p, func(ctx context.Context, c *api.Client) (api.Forgotten, error) { return c.ForgetSeeds(ctx, name) })
		switch {
		case err == nil:
			known = true
			all.Seeds = append(all.Seeds, out.Seeds...)
			all.Routed += out.Routed
			all.Dropped += out.Dropped
			all.Left += out.Left
		case api.IsNotFound(err):
		default:
			failed = errors.Join(failed, fmt.Errorf("node %s: %w", p.Card().Node, err))
		}
	}
	slices.Sort(all.Seeds)
	all.Seeds = slices.Compact(all.Seeds)
	if failed != nil || known {
		return all, failed
	}
	return all, err
}
