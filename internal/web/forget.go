package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// forgetRoutes end what is kept for a seed that is away, or for all seeds of a node that
// is: on this node, or on all.
func forgetRoutes(mux *router, net *network) {
	mux.HandleFunc("POST /api/v1/forget/{name}", func(w http.ResponseWriter, r *http.Request) {
		if name, ok := askedName(w, r); ok {
			out, err := net.Node.ForgetSeeds(r.Context(), name)
			answerForgotten(w, out, err)
		}
	})
	mux.HandleFunc("POST /api/v1/network/forget/{name}", func(w http.ResponseWriter, r *http.Request) {
		if name, ok := askedName(w, r); ok {
			out, err := net.forget(r.Context(), name)
			answerForgotten(w, out, err)
		}
	})
}

func askedName(w http.ResponseWriter, r *http.Request) (string, bool) {
	name := r.PathValue("name")
	err := packet.CheckName("name", name)
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return name, err == nil
}

func answerForgotten(w http.ResponseWriter, out node.Forgotten, err error) {
	if errors.Is(err, node.ErrNotAway) {
		refuse(w, http.StatusNotFound, 0, err)
		return
	}
	answer(w, out, err)
}

// forget asks every node: what it knows, and what it keeps, is its own.
func (net *network) forget(ctx context.Context, name string) (node.Forgotten, error) {
	all, err := net.Node.ForgetSeeds(ctx, name)
	known, failed := err == nil, error(nil)
	if err != nil && !errors.Is(err, node.ErrNotAway) {
		failed = err
	}
	for _, p := range net.Node.Peers() {
		out, err := forgetAt(ctx, p, name)
		var problem *Problem
		switch {
		case err == nil:
			known = true
			all.Seeds = append(all.Seeds, out.Seeds...)
			all.Routed += out.Routed
			all.Dropped += out.Dropped
			all.Left += out.Left
		case errors.As(err, &problem) && problem.Status == http.StatusNotFound:
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

// forgetAt asks another node.
func forgetAt(ctx context.Context, p mesh.Peer, name string) (node.Forgotten, error) {
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	return NewClientOver(p).ForgetSeeds(ctx, name)
}

// ForgetSeeds ends what is kept for a seed that is away, or for all seeds of a node that is.
func (c *Client) ForgetSeeds(ctx context.Context, name string) (node.Forgotten, error) {
	var out node.Forgotten
	return out, c.call(ctx, http.MethodPost, c.base+"forget/"+url.PathEscape(name), nil, &out)
}
