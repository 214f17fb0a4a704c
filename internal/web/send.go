package web

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// sendRoutes take packets, one or many.
func sendRoutes(mux *router, n *node.Node) {
	mux.HandleFunc("POST /api/v1/states/{state}/packets", func(w http.ResponseWriter, r *http.Request) { send(w, r, n) })
	mux.HandleFunc("POST /api/v1/packets", func(w http.ResponseWriter, r *http.Request) { sendMany(w, r, n) })
}

// maxWait is how long a request waits for an outcome at most.
const maxWait = 10 * time.Minute

// send takes one packet into a state: a body of the type [api.PacketType] is an [api.Sending], any
// other the data itself.
func send(w http.ResponseWriter, r *http.Request, n *node.Node) {
	sending, data, size, err := readSending(w, r, n.MaxData())
	var p packet.Packet
	if err == nil {
		if r.URL.Query().Has("wait") && sending.Follow.IsZero() {
			sending.Follow = packet.NewID()
		}
		p, err = packetFrom(sending)
	}
	wait := time.Duration(0)
	if text := r.URL.Query().Get("wait"); text != "" && err == nil {
		if wait, err = time.ParseDuration(text); err == nil && (wait < 0 || wait > maxWait) {
			err = fmt.Errorf("wait=%s: expected 0s to %v", text, maxWait)
		}
	}
	began := time.Now()
	if err == nil {
		awaitStart(r.Context(), n, wait)
		ctx, end := taking(r, n)
		err = heldBack(ctx, n.Take(ctx, &p, data, size))
		end()
	}
	if err != nil {
		notTaken(w, 0, err)
		return
	}
	sent := api.Sent{ID: p.ID, Ship: packet.Ship{Root: p.ID, Node: n.Name()}, Node: n.Name(), State: p.State}
	if r.URL.Query().Has("wait") && p.Wish != nil && !p.Wish.Follow.IsZero() {
		if sent.Outcome, err = outcome(r.Context(), n, p.Wish.Follow, wait-time.Since(began)); err != nil {
			refuse(w, http.StatusServiceUnavailable, 1, fmt.Errorf("packet %s was taken; what became of it is not known: %w", p.ID, err))
			return
		}
	}
	reply(w, http.StatusOK, jsonType, sent)
}

// readSending reads what is sent into the state of the path. The size of data is -1 if it is not
// known.
func readSending(w http.ResponseWriter, r *http.Request, maxData int64) (s api.Sending, data io.Reader, size int64, err error) {
	into := packet.State(r.PathValue("state"))
	if kindOf(r) == api.PacketType {
		if err := readOne(http.MaxBytesReader(w, r.Body, maxData/3*4+sendingHead), &s); err != nil {
			return s, nil, 0, fmt.Errorf("the packet as %s: %w", api.PacketType, err)
		}
		if s.State != "" && s.State != into {
			return s, nil, 0, fmt.Errorf("the packet is in the state %s, and sent into %s", s.State, into)
		}
		text, err := contentOf(s.Text, s.Data)
		s.State, s.Traceparent = into, cmp.Or(s.Traceparent, traceparent(r))
		return s, strings.NewReader(text), int64(len(text)), err
	}
	q := r.URL.Query()
	s = api.Sending{State: into, Stop: q.Get("stop"), Goal: packet.State(q.Get("goal")), Traceparent: traceparent(r)}
	s.Track, err = truth(r, "track")
	if err == nil {
		s.Attributes, err = api.ReadAttributes(r.Header)
	}
	for name, id := range map[string]*packet.ID{"id": &s.ID, "follow": &s.Follow} {
		if text := q.Get(name); text != "" && err == nil {
			*id, err = packet.ParseID(text)
		}
	}
	return s, r.Body, r.ContentLength, err
}

// awaitStart waits until the node has started, but not longer than that: before, it does
// not know its seeds, and what they take would only wait.
func awaitStart(ctx context.Context, n *node.Node, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !n.Started() && !n.Leaving() && ctx.Err() == nil {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// outcome waits until all that comes of a packet has ended or waits, but not longer
// than that.
func outcome(ctx context.Context, n *node.Node, ledger packet.ID, most time.Duration) (*api.Outcome, error) {
	end := time.Now().Add(most)
	for pause := 5 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		sum, err := n.Ledger(ctx, ledger)
		if err != nil {
			return nil, err
		}
		out := &api.Outcome{Ledger: ledgerOf(sum), Over: n.Started() && sum.Begun > 0 && sum.Live == 0}
		left := time.Until(end)
		switch {
		case out.Over:
			return out, n.Forget(ctx, ledger)
		case left <= 0:
			out.ID = ledger
			return out, nil
		}
		select {
		case <-time.After(min(pause, left)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
