package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// traceTime is how long a node has to tell what it knows of a ship: it may look
// through its store for seconds.
const traceTime = 6 * time.Second

// errUnknown is an id that no node knows.
var errUnknown = errors.New("no node knows a packet or a ship of this id: hops of ended packets are kept for a while alone; those sent with --track, --wait, --goal or --stop longest")

// An ambiguousError is the begin of several ids.
type ambiguousError struct {
	id    trace.Prefix
	ships []packet.Ship
}

func (e *ambiguousError) Error() string {
	names := make([]string, len(e.ships))
	for i, s := range e.ships {
		names[i] = s.String()
	}
	return fmt.Sprintf("%s is the beginning of several ids: give more digits; the ships are %s", e.id, strings.Join(names, ", "))
}

// traceRoutes tell what is known of a family: by all nodes, as one tree, and by this one.
func traceRoutes(mux *router, net *network) {
	mux.HandleFunc("GET /api/v1/trace/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := valueOf(w, r.PathValue("id"), trace.ParsePrefix); ok {
			t, err := net.family(r.Context(), id)
			switch {
			case errors.Is(err, errUnknown):
				refuse(w, http.StatusNotFound, 0, err)
			case errors.As(err, new(*ambiguousError)):
				refuse(w, http.StatusConflict, 0, err)
			default:
				answer(w, t, err)
			}
		}
	})
	mux.HandleFunc("GET /api/v1/trace/{id}/share", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := valueOf(w, r.PathValue("id"), trace.ParsePrefix); ok {
			s, err := net.Node.Trace(r.Context(), id, r.URL.Query().Get("stored") != "no")
			answer(w, s, err)
		}
	})
}

// family asks all nodes, this one first, what they know of what the id means.
func (net *network) family(ctx context.Context, id trace.Prefix) (trace.Trace, error) {
	peers := net.Node.Peers()
	shares, silent, err := net.shares(ctx, peers, id)
	if err != nil {
		return trace.Trace{}, err
	}
	var ships []packet.Ship
	seen := map[packet.Ship]bool{}
	for _, s := range shares {
		for _, ship := range s.Ships {
			if !seen[ship] {
				seen[ship], ships = true, append(ships, ship)
			}
		}
	}
	switch len(ships) {
	case 0:
		return trace.Trace{}, notFound(shares, silent)
	case 1:
	default:
		return trace.Trace{}, &ambiguousError{id: id, ships: ships}
	}
	ship, asked := ships[0], packet.ID{}
	if !id.Means(ship.Root) {
		// Where the packet itself was not, others of its family may have been.
		if shares, silent, err = net.shares(ctx, peers, trace.PrefixOf(ship.Root)); err != nil {
			return trace.Trace{}, err
		}
		asked = meant(id, shares)
	}
	t := trace.Build(ship, asked, shares)
	t.Notes = append(t.Notes, silent...)
	return t, nil
}

// meant is the packet that the id means, if one is known.
func meant(id trace.Prefix, shares []trace.Share) packet.ID {
	for _, s := range shares {
		for i := range s.Runs {
			if id.Means(s.Runs[i].Packet) {
				return s.Runs[i].Packet
			}
		}
		for i := range s.Rests {
			if id.Means(s.Rests[i].Packet) {
				return s.Rests[i].Packet
			}
		}
	}
	return packet.ID{}
}

// shares asks all nodes at a time. silent names those that did not answer.
func (net *network) shares(ctx context.Context, peers []mesh.Peer, id trace.Prefix) (shares []trace.Share, silent []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, traceTime)
	defer cancel()
	type answer struct {
		share trace.Share
		err   error
	}
	answers := make([]chan answer, len(peers))
	for i, p := range peers {
		answers[i] = make(chan answer, 1)
		go func() {
			// The store of who has none of its own was looked through here.
			s, err := api.NewClientOver(p).Share(ctx, id, p.Store() != nil)
			answers[i] <- answer{s, err}
		}()
	}
	own, err := net.Node.Trace(ctx, id, true)
	shares = append(shares, own)
	for i, p := range peers {
		a := <-answers[i]
		if a.err != nil {
			silent = append(silent, fmt.Sprintf("node %s does not answer; what it knows is not shown: %v", p.Card().Node, a.err))
			continue
		}
		shares = append(shares, a.share)
	}
	return shares, silent, err
}

// notFound says why there may be nothing of an id.
func notFound(shares []trace.Share, silent []string) error {
	text := ""
	for _, s := range shares {
		if s.Keeps.OneIn > 1 {
			text += fmt.Sprintf("; node %s runs so many packets now that it keeps one ship in %d", s.Node, s.Keeps.OneIn)
		}
		if s.Partial {
			text += fmt.Sprintf("; the store of node %s has more packets than were searched", s.Node)
		}
	}
	for _, s := range silent {
		text += "; " + s
	}
	return fmt.Errorf("%w%s", errUnknown, text)
}
