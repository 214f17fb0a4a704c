package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// storedRoutes are those to the packets that lie in stores: on this node, and
// everywhere.
func storedRoutes(mux *router, net *network) {
	n := net.Node
	net.both(mux, "GET", "states/{state}/packets", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		lines := r.Header.Get("Accept") == api.LinesType
		most := maxShown
		if lines {
			most = math.MaxInt32
		}
		state, ask, ok := askedFor(w, r, "state", packet.ParseState, most)
		if !ok {
			return
		}
		list := inState(n, state, ask)
		if lines {
			writeLines(w, r, list, others, ask, func(c *api.Client, ask api.Ask, visit func(api.Packet) error) error {
				return c.EachInState(r.Context(), state, ask, visit)
			})
			return
		}
		found, err := collect(r.Context(), list, ask)
		askOthers(r.Context(), &found, others, ask, func(ctx context.Context, c *api.Client, ask api.Ask) (api.Packets, error) {
			return c.InState(ctx, state, ask)
		})
		answer(w, found, err)
	})
	net.both(mux, "GET", "packets/{id}", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		id, ask, ok := askedFor(w, r, "id", packet.ParseID, maxShown)
		if !ok {
			return
		}
		found, err := collect(r.Context(), withID(n, id), ask)
		askOthers(r.Context(), &found, others, ask, func(ctx context.Context, c *api.Client, ask api.Ask) (api.Packets, error) {
			return c.Find(ctx, id, ask)
		})
		if err == nil && len(found.Packets) == 0 {
			refuse(w, http.StatusNotFound, 0, notStored(id, found))
			return
		}
		answer(w, found, err)
	})
	net.both(mux, "GET", "packets/{id}/data", net.others, func(w http.ResponseWriter, r *http.Request, others []mesh.Peer) {
		download(w, r, n, others)
	})
}

// askedFor is what is asked for, of a state or an id, and how much of it; what is wrong is refused.
func askedFor[T any](w http.ResponseWriter, r *http.Request, name string, parse func(string) (T, error), most int) (value T, ask api.Ask, ok bool) {
	if value, ok = valueOf(w, r.PathValue(name), parse); !ok {
		return value, ask, false
	}
	ask, err := readAsk(r, most)
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return value, ask, err == nil
}

// notStored says that the packet lies nowhere, as far as that is known.
func notStored(id packet.ID, found api.Packets) error {
	why := "it has ended, or is in the memory of a node"
	switch {
	case found.More:
		why = "or behind so many others that they were not all looked at"
	case len(found.Unanswered) > 0:
		why = fmt.Sprintf("or with one of these nodes, which do not answer: %v", found.Unanswered)
	}
	return fmt.Errorf("packet %s is in no store: %s", id, why)
}

// writeLines answers with packets, a line each, of this node and then of the others.
func writeLines(w http.ResponseWriter, r *http.Request, list lister, others []mesh.Peer, ask api.Ask, question func(*api.Client, api.Ask, func(api.Packet) error) error) {
	w.Header().Set("Content-Type", api.LinesType)
	enc := json.NewEncoder(w)
	visit := func(p api.Packet) error {
		if ask.Limit == 0 {
			return errEnough
		}
		ask.Limit--
		return enc.Encode(p)
	}
	err := list(r.Context(), ask.Bytes, visit)
	for _, p := range others {
		if err == nil && ask.Limit > 0 {
			err = question(api.NewClientOver(p), ask, visit)
		}
	}
	if err != nil && !errors.Is(err, errEnough) {
		panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
	}
}

// askOthers adds what the other nodes say to the same question.
func askOthers(ctx context.Context, found *api.Packets, others []mesh.Peer, ask api.Ask, question func(context.Context, *api.Client, api.Ask) (api.Packets, error)) {
	for _, p := range others {
		left := ask
		if left.Limit -= len(found.Packets); left.Limit <= 0 {
			found.More = true
			return
		}
		more, err := askOne(ctx, p, func(ctx context.Context, c *api.Client) (api.Packets, error) {
			return question(ctx, c, left)
		})
		if api.IsNotFound(err) {
			continue // no packet of that id
		}
		if err != nil {
			found.Unanswered = append(found.Unanswered, p.Card().Node)
			continue
		}
		found.Packets = append(found.Packets, more.Packets...)
		found.More = found.More || more.More
	}
}

// download gives all of a packet's data, which lies here or with one of the others.
// Whoever shows it decides what it is: nothing here says so to a browser.
func download(w http.ResponseWriter, r *http.Request, n *node.Node, others []mesh.Peer) {
	id, ok := valueOf(w, r.PathValue("id"), packet.ParseID)
	if !ok {
		return
	}
	var found *node.Rested
	err := n.Find(r.Context(), id, func(rested node.Rested) bool {
		found = &rested
		return false
	})
	if found != nil {
		file, err := n.OpenData(&found.Packet)
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, 0, err)
			return
		}
		defer file.Close() // only read
		give(w, id, found.DataSize(), file)
		return
	}
	if err != nil && !errors.Is(err, node.ErrTooMany) {
		refuse(w, http.StatusServiceUnavailable, 0, err)
		return
	}
	missing := api.Packets{More: err != nil}
	for _, p := range others {
		data, size, err := api.NewClientOver(p).Data(r.Context(), id)
		if err == nil {
			defer data.Close() // only read
			give(w, id, size, data)
			return
		}
		if !api.IsNotFound(err) {
			missing.Unanswered = append(missing.Unanswered, p.Card().Node)
		}
	}
	refuse(w, http.StatusNotFound, 0, notStored(id, missing))
}

// give sends data as something to keep, not to show.
func give(w http.ResponseWriter, id packet.ID, size int64, data io.Reader) {
	h := w.Header()
	h.Set("Content-Type", api.RawType)
	h.Set("Content-Disposition", `attachment; filename="`+id.String()+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	if size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if n, err := io.Copy(w, data); err != nil || size >= 0 && n != size {
		panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
	}
}
