package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Paused says on which nodes a seed was paused, or runs again.
type Paused struct {
	Nodes []string `json:"nodes"`
}

// pauseRoutes have a seed take no more packets, and take them again: on this node,
// or on all, or on one of them.
func pauseRoutes(mux *router, net *network) {
	n := net.Node
	for verb, do := range map[string]func(context.Context, seed.Name) error{
		"pause":  n.Pause,
		"resume": func(_ context.Context, name seed.Name) error { return n.Resume(name) },
	} {
		mux.HandleFunc("POST /api/v1/seeds/{name}/"+verb, func(w http.ResponseWriter, r *http.Request) {
			if name, ok := askedSeed(w, r); ok {
				answerPaused(w, Paused{Nodes: []string{n.Name()}}, do(r.Context(), name))
			}
		})
		mux.HandleFunc("POST /api/v1/network/seeds/{name}/"+verb, func(w http.ResponseWriter, r *http.Request) {
			if name, ok := askedSeed(w, r); ok {
				done, err := net.pause(r.Context(), name, verb, r.URL.Query().Get("node"), do)
				answerPaused(w, done, err)
			}
		})
	}
}

func askedSeed(w http.ResponseWriter, r *http.Request) (seed.Name, bool) {
	name := r.PathValue("name")
	if err := packet.CheckName("seed's name", name); err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
		return "", false
	}
	return seed.Name(name), true
}

func answerPaused(w http.ResponseWriter, done Paused, err error) {
	if errors.Is(err, node.ErrNotHosted) {
		refuse(w, http.StatusNotFound, 0, err)
		return
	}
	answer(w, done, err)
}

// pause does it on the node of that name, or on all that host the seed. Those that
// it was done on before an error are named in it.
func (net *network) pause(ctx context.Context, name seed.Name, verb, only string, here func(context.Context, seed.Name) error) (Paused, error) {
	done := Paused{Nodes: []string{}}
	var failed error
	took := func(at string, err error) {
		var problem *Problem
		switch {
		case err == nil:
			done.Nodes = append(done.Nodes, at)
		case errors.Is(err, node.ErrNotHosted), errors.As(err, &problem) && problem.Status == http.StatusNotFound:
		default:
			failed = errors.Join(failed, fmt.Errorf("node %s: %w", at, err))
		}
	}
	if own := net.Node.Name(); only == "" || only == own {
		took(own, here(ctx, name))
	}
	for _, p := range net.Node.Peers() {
		if at := p.Card().Node; only == "" || only == at {
			took(at, pauseAt(ctx, p, name, verb))
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

// pauseAt asks another node.
func pauseAt(ctx context.Context, p mesh.Peer, name seed.Name, verb string) error {
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	_, err := NewClientOver(p).pause(ctx, name, verb, "")
	return err
}

// Pause has a seed take no more packets, and gives the nodes on which. An empty
// node is all that the client means.
func (c *Client) Pause(ctx context.Context, name seed.Name, node string) ([]string, error) {
	return c.pause(ctx, name, "pause", node)
}

// Resume is the opposite of Pause.
func (c *Client) Resume(ctx context.Context, name seed.Name, node string) ([]string, error) {
	return c.pause(ctx, name, "resume", node)
}

func (c *Client) pause(ctx context.Context, name seed.Name, verb, node string) ([]string, error) {
	path := c.base + "seeds/" + url.PathEscape(string(name)) + "/" + verb
	if node != "" {
		path += "?node=" + url.QueryEscape(node)
	}
	var done Paused
	err := c.call(ctx, http.MethodPost, path, nil, &done)
	return done.Nodes, err
}
