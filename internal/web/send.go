package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Sending is one packet that is sent into a state, as JSON.
type Sending struct {
	ID packet.ID `json:"id,omitzero"` // drawn if it is missing; the same again for who tries again
	// Data or Data64, the data in base64.
	Data   *string      `json:"data,omitempty"`
	Data64 []byte       `json:"data64,omitempty"`
	Stop   string       `json:"stop,omitempty"`
	Goal   packet.State `json:"goal,omitempty"`
	Track  bool         `json:"track,omitempty"`
}

// A Sent is a packet that was taken.
type Sent struct {
	ID    packet.ID    `json:"id"`
	Ship  string       `json:"ship"` // NODE:ID, the job that all that comes of it belongs to
	Node  string       `json:"node"`
	State packet.State `json:"state"`
	// Outcome is what became of it, for who asked to wait; nothing is known of a
	// packet whose id was taken before.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// An Outcome is what became of a packet and all that came of it.
type Outcome struct {
	// Over says that nothing of it is under way any more. Else Ledger names where
	// it can be asked for: GET /api/v1/ledgers/ID.
	Over   bool      `json:"over"`
	Ledger packet.ID `json:"ledger,omitzero"`
	// Live counts the packets under way, Ended the runs that are over, and Waiting
	// the packets that wait, by state: those in Error: states failed. Kept counts
	// what is kept for seeds that are away.
	Live    int                  `json:"live"`
	Ended   int                  `json:"ended"`
	Waiting map[packet.State]int `json:"waiting"`
	Kept    map[seed.Name]int    `json:"kept,omitempty"`
}

// maxWait is how long a request waits for an outcome at most.
const maxWait = 10 * time.Minute

// send takes one packet into a state: a body of the type [packetType] is a [Sending], any
// other the data itself.
func send(w http.ResponseWriter, r *http.Request, n *node.Node) {
	sending, data, size, err := readSending(w, r, n.MaxData())
	var p packet.Packet
	if err == nil {
		parcel := Parcel{ID: sending.ID, State: packet.State(r.PathValue("state")), Stop: sending.Stop, Goal: sending.Goal, Track: sending.Track, Traceparent: traceparent(r)}
		if r.URL.Query().Has("wait") {
			parcel.Follow = packet.NewID()
		}
		p, err = parcel.packet()
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
	sent := Sent{ID: p.ID, Ship: packet.Ship{Root: p.ID, Node: n.Name()}.String(), Node: n.Name(), State: p.State}
	if p.Wish != nil && !p.Wish.Follow.IsZero() {
		if sent.Outcome, err = outcome(r.Context(), n, p.Wish.Follow, wait-time.Since(began)); err != nil {
			refuse(w, http.StatusServiceUnavailable, 1, fmt.Errorf("packet %s was taken; what became of it is not known: %w", p.ID, err))
			return
		}
	}
	reply(w, http.StatusOK, "application/json", sent)
}

// readSending reads what is sent. The size of data is -1 if it is not known.
func readSending(w http.ResponseWriter, r *http.Request, maxData int64) (s Sending, data io.Reader, size int64, err error) {
	if kindOf(r) != packetType {
		q := r.URL.Query()
		s = Sending{Stop: q.Get("stop"), Goal: packet.State(q.Get("goal"))}
		if text := q.Get("track"); text != "" {
			if s.Track, err = strconv.ParseBool(text); err != nil {
				return s, nil, 0, fmt.Errorf("track=%s: expected true or false", text)
			}
		}
		if text := q.Get("id"); text != "" {
			if s.ID, err = packet.ParseID(text); err != nil {
				return s, nil, 0, err
			}
		}
		return s, r.Body, r.ContentLength, nil
	}
	if err := readOne(http.MaxBytesReader(w, r.Body, maxData/3*4+parcelHead), &s); err != nil {
		return s, nil, 0, fmt.Errorf("the packet as %s: %w", packetType, err)
	}
	text, err := contentOf(s.Data, s.Data64)
	return s, strings.NewReader(text), int64(len(text)), err
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
func outcome(ctx context.Context, n *node.Node, ledger packet.ID, most time.Duration) (*Outcome, error) {
	end := time.Now().Add(most)
	for pause := 5 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		sum, err := n.Ledger(ctx, ledger)
		if err != nil {
			return nil, err
		}
		out := &Outcome{Over: n.Started() && sum.Begun > 0 && sum.Live == 0, Live: sum.Live, Ended: sum.Ended(), Waiting: sum.Waiting, Kept: sum.Kept}
		left := time.Until(end)
		switch {
		case out.Over:
			return out, n.Forget(ctx, ledger)
		case left <= 0:
			out.Ledger = ledger
			return out, nil
		}
		select {
		case <-time.After(min(pause, left)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
