package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestOrphans leaves packets in the inboxes of seeds that nobody hosts any
// more: those that went to one seed alone go to the next that accepts them,
// others stay.
func TestOrphans(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	t.Cleanup(func() { s.Close() })
	nothing := func(context.Context, packet.Packet, gofn.Emit) error { return errors.New("is not to run") }
	before, _ := newLoggedWorld(t, s, Memory)
	before.host(before.seed("alone", "T:A | T:C ->", nothing), before.seed("left", "T:B ->", nothing), before.seed("right", "T:B ->", nothing))
	// It does not run: what is injected stays in the inboxes.
	for _, state := range []packet.State{"T:A", "T:A", "T:C", "T:B"} {
		before.inject(state, string(state), nil)
	}
	before.close()

	after, _ := newLoggedWorld(t, s, Memory)
	after.patience = 60 * time.Millisecond
	var got basket
	after.start()
	after.host(after.seed("other", "T:A ->", got.run), after.seed("right", "T:B ->", got.run), after.seed("more", "T:B ->", got.run))
	testenv.Eventually(t, 10*time.Second, "three packets arrive", func() bool {
		got.mu.Lock()
		defer got.mu.Unlock()
		return len(got.got) == 3 // one of T:B
	})
	testenv.Eventually(t, 10*time.Second, "the inbox is empty", func() bool { return len(lie(t, s, "in.alone")) <= 1 })
	// A seed that comes for the rest later gets that too.
	after.host(after.seed("third", "T:C ->", got.run))
	testenv.Eventually(t, 10*time.Second, "the inbox is empty", func() bool { return len(lie(t, s, "in.alone")) == 0 && len(lie(t, s, "in.third")) == 0 })
	after.drain()
	got.mu.Lock()
	defer got.mu.Unlock()
	if len(got.got) != 4 {
		t.Errorf("%d packets arrived; expected 4", len(got.got))
	}
	if n := len(lie(t, s, store.Inbox("left"))); n != 1 {
		t.Errorf("%d packets are in the inbox of left; expected the one whose copy went to right", n)
	}
}

// TestADelayedOrphan is left where it is until its time comes, and then goes on.
func TestADelayedOrphan(t *testing.T) {
	t.Parallel()
	s := inMemory(t, pebble.Config{})
	w, _ := newLoggedWorld(t, s, Memory)
	w.patience = 60 * time.Millisecond
	frame := packet.AppendFrame(nil, packet.FrameHeader{Sole: true}, somePackets(2, "T:A"))
	err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: store.Inbox("gone"), Frame: store.Frame{Data: frame, Packets: 2, After: time.Second}}}})
	if err != nil {
		t.Fatal(err)
	}
	var got basket
	w.host(w.seed("other", "T:A ->", got.run))
	if m, err := w.moveInbox("gone", false); err != nil || m.done || m.routed > 0 {
		t.Errorf("of a delayed frame came %+v, %v", m, err)
	}
	w.start()
	testenv.Eventually(t, 20*time.Second, "they arrive", func() bool { return got.count() == 2 })
}
