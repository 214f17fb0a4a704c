package node

import (
	"context"
	"testing"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// An offering is a store that offers a frame to a pull which has just leased one.
type offering struct {
	*pebble.Store
	offer func()
}

func (o *offering) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	leases, err := o.Store.Pull(ctx, from, most)
	o.offer()
	return leases, err
}

// TestAnOfferToWhoHasEnough: a peer gets no more than it has asked for, since it would refuse
// all of it; what it does not get is free at once, and this node is not taken to have died on it.
func TestAnOfferToWhoHasEnough(t *testing.T) {
	s := &offering{Store: inMemory(t, pebble.Config{})}
	at := store.Inbox("work")
	tx := &store.Tx{}
	for range 2 {
		tx.Append = append(tx.Append, store.Append{To: at, Frame: store.Frame{Data: packet.AppendFrame(nil, packet.FrameHeader{}, somePackets(1, "T:A")), Packets: 1}})
	}
	if err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	mine, err := s.Store.Pull(t.Context(), at, 1)
	if err != nil {
		t.Fatal(err)
	}
	n := New(Config{Name: "test", Store: s, Durability: Memory})
	close(n.known)
	h := newHost(seed.Manifest{Name: "work", Contract: seed.Contract{In: []packet.State{"T:A"}}}, runner.Traits{}, nil)
	n.snap.Store(newSnapshot("test", map[seed.Name]*host{"work": h}, nil, nil, false))
	s.offer = func() {
		if !h.gate.offer(mine[0]) {
			t.Error("nobody waits")
		}
	}
	g := n.Serve(t.Context(), "peer", packet.NewID())
	got, err := g.Pull(t.Context(), at, 1)
	if err != nil || len(got) != 1 || got[0].Number() == mine[0].Number() {
		t.Fatalf("%d frames, %v", len(got), err)
	}
	again, err := s.Store.Pull(t.Context(), at, 1)
	if err != nil || again[0].Number() != mine[0].Number() || n.deaths(at, again[0]) != 0 {
		t.Errorf("%v, %v, with %d deaths", again, err, n.deaths(at, again[0]))
	}
}
