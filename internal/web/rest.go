package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// restRoutes are those to the packets that lie in stores: on this node, and
// everywhere.
func restRoutes(mux *router, net *network) {
	n := net.Node
	mux.HandleFunc("GET /api/v1/states/{state}/packets", func(w http.ResponseWriter, r *http.Request) {
		if state, ask, ok := askedState(w, r); ok {
			found, err := resting(r.Context(), n, state, ask)
			answer(w, found, err)
		}
	})
	mux.HandleFunc("GET /api/v1/network/states/{state}/packets", func(w http.ResponseWriter, r *http.Request) {
		if state, ask, ok := askedState(w, r); ok {
			found, err := resting(r.Context(), n, state, ask)
			net.askOthers(r.Context(), &found, ask, "states/"+url.PathEscape(string(state))+"/packets")
			answer(w, found, err)
		}
	})
	mux.HandleFunc("GET /api/v1/packets/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id, ask, ok := askedPacket(w, r); ok {
			found, err := find(r.Context(), n, id, ask)
			answerPacket(w, id, found, err)
		}
	})
	mux.HandleFunc("GET /api/v1/network/packets/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id, ask, ok := askedPacket(w, r); ok {
			found, err := find(r.Context(), n, id, ask)
			net.askOthers(r.Context(), &found, ask, "packets/"+id.String())
			answerPacket(w, id, found, err)
		}
	})
	mux.HandleFunc("GET /api/v1/packets/{id}/data", func(w http.ResponseWriter, r *http.Request) { download(w, r, net, nil) })
	mux.HandleFunc("GET /api/v1/network/packets/{id}/data", func(w http.ResponseWriter, r *http.Request) { download(w, r, net, net.others()) })
	mux.HandleFunc("POST /api/v1/states/{state}/packets", func(w http.ResponseWriter, r *http.Request) { send(w, r, n) })
}

func askedState(w http.ResponseWriter, r *http.Request) (packet.State, shownAsked, bool) {
	state, err := packet.ParseState(r.PathValue("state"))
	var ask shownAsked
	if err == nil {
		ask, err = readShown(r, defaultShown)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return state, ask, err == nil
}

func askedPacket(w http.ResponseWriter, r *http.Request) (packet.ID, shownAsked, bool) {
	id, err := packet.ParseID(r.PathValue("id"))
	var ask shownAsked
	if err == nil {
		ask, err = readShown(r, defaultShown)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return id, ask, err == nil
}

func answer(w http.ResponseWriter, body any, err error) {
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, 0, err)
		return
	}
	reply(w, http.StatusOK, "application/json", body)
}

func answerPacket(w http.ResponseWriter, id packet.ID, found Packets, err error) {
	if err == nil && len(found.Packets) == 0 {
		refuse(w, http.StatusNotFound, 0, notStored(id, found))
		return
	}
	answer(w, found, err)
}

// notStored says that the packet lies nowhere, as far as that is known.
func notStored(id packet.ID, found Packets) error {
	why := "it has ended, or is in the memory of a node"
	switch {
	case found.More:
		why = "or behind so many others that they were not all looked at"
	case len(found.Unanswered) > 0:
		why = fmt.Sprintf("or with one of these nodes, which do not answer: %v", found.Unanswered)
	}
	return fmt.Errorf("packet %s is in no store: %s", id, why)
}

// restTime is how long a node has to look through its store.
const restTime = 10 * time.Second

// askOthers adds what the other nodes say to the same question.
func (net *network) askOthers(ctx context.Context, found *Packets, ask shownAsked, path string) {
	for _, p := range net.others() {
		left := ask.limit - len(found.Packets)
		if left <= 0 {
			found.More = true
			return
		}
		more, err := restOf(ctx, p, path, shownAsked{left, ask.bytes})
		var problem *Problem
		if errors.As(err, &problem) && problem.Status == http.StatusNotFound {
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

// restOf asks one other node.
func restOf(ctx context.Context, p mesh.Peer, path string, ask shownAsked) (Packets, error) {
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	var found Packets
	query := "?limit=" + strconv.Itoa(ask.limit) + "&bytes=" + strconv.Itoa(ask.bytes)
	return found, NewClientOver(p).call(ctx, http.MethodGet, "/api/v1/"+path+query, nil, &found)
}

// download gives all of a packet's data, which lies here or with one of the others.
// Whoever shows it decides what it is: nothing here says so to a browser.
func download(w http.ResponseWriter, r *http.Request, net *network, others []mesh.Peer) {
	id, err := packet.ParseID(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
		return
	}
	var found *node.Rested
	err = net.Node.Find(r.Context(), id, func(rested node.Rested) bool {
		found = &rested
		return false
	})
	if found != nil {
		file, err := net.Node.OpenData(&found.Packet)
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
	missing := Packets{More: err != nil}
	for _, p := range others {
		if fetched, err := fetch(w, r, p, id); err != nil {
			missing.Unanswered = append(missing.Unanswered, p.Card().Node)
		} else if fetched {
			return
		}
	}
	refuse(w, http.StatusNotFound, 0, notStored(id, missing))
}

// fetch passes on what another node has; false means that it has nothing.
func fetch(w http.ResponseWriter, r *http.Request, p mesh.Peer, id packet.ID) (bool, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://node/api/v1/packets/"+id.String()+"/data", nil)
	if err != nil {
		return false, err
	}
	resp, err := p.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		give(w, id, resp.ContentLength, resp.Body)
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("the node answered %s", resp.Status)
}

// give sends data as something to keep, not to show.
func give(w http.ResponseWriter, id packet.ID, size int64, data io.Reader) {
	h := w.Header()
	h.Set("Content-Type", rawData)
	h.Set("Content-Disposition", `attachment; filename="`+id.String()+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	if size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if n, err := io.Copy(w, data); err != nil || size >= 0 && n != size {
		panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
	}
}
