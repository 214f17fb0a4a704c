package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A hooked is a store with something to do before a pull, and after a look.
type hooked struct {
	store.Store
	pull   func() error
	looked func(at store.Queue, found int)
}

func (h *hooked) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	if h.pull != nil {
		if err := h.pull(); err != nil {
			return nil, err
		}
	}
	return h.Store.Pull(ctx, from, most)
}

func (h *hooked) Look(ctx context.Context, at store.Queue, from uint64, visit func(store.Stored) bool) error {
	var found []store.Stored
	err := h.Store.Look(ctx, at, from, func(r store.Stored) bool {
		found = append(found, r)
		return true
	})
	if h.looked != nil {
		h.looked(at, len(found))
	}
	for _, r := range found {
		if !visit(r) {
			break
		}
	}
	return err
}

// TestAWaitingFrameIsMovedOnce has a second look see a frame that the first
// has moved out by the time the second gets to it.
func TestAWaitingFrameIsMovedOnce(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	gate, blocked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	rec.refuse = func(to store.Queue, _ store.Frame) error {
		if to == "in.end" {
			once.Do(func() { close(blocked) })
			<-gate
		}
		return nil
	}
	appendFrame(t, rec, "wait.A.A", packet.FrameHeader{}, somePackets(1, "A:A")...)
	w := newStoredWorld(t, rec, Memory)
	var end basket
	w.host(w.seed("end", "A:A ->", end.run))
	w.start()
	<-blocked
	w.waits.rescan()
	retried := make(chan error, 1)
	go func() { // somebody else who looks at what waits, and may have seen the frame
		_, err := w.Retry(t.Context(), Selection{States: []packet.State{"A:A"}})
		retried <- err
	}()
	close(gate)
	w.drain()
	if err := <-retried; err != nil && !errors.Is(err, ErrNotWaiting) {
		t.Error(err)
	}
	end.want(t, "0")
}

func TestPullsThatFailAreToldOnceAndTriedAgain(t *testing.T) {
	var tries atomic.Int64
	s := &hooked{Store: inMemory(t, pebble.Config{}), pull: func() error {
		if tries.Add(1) < 5 {
			return errors.New("no such inbox")
		}
		return nil
	}}
	w, book := newLoggedWorld(t, s, Memory)
	var end basket
	w.host(w.seed("end", "A:A ->", end.run))
	w.start()
	w.inject("A:A", "x", nil)
	testenv.Eventually(t, 10*time.Second, "it arrives", func() bool { return end.count() == 1 })
	if book.Count("no such inbox") != 1 {
		t.Errorf("the log says %d times what is wrong", book.Count("no such inbox"))
	}
	testenv.Eventually(t, 10*time.Second, "the log says that it goes on", func() bool { return book.Count("takes packets again") == 1 })
}

// TestRanks tells roots from what descends from them, where nothing was stored
// before.
func TestRanks(t *testing.T) {
	root, hop := packet.NewID(), &packet.Hop{Seed: "a", Depth: 1}
	ship := packet.Ship{Root: root}
	for _, c := range []struct {
		what string
		it   item
		want store.Rank
	}{
		{"from outside", item{Packet: packet.Packet{ID: root, Ship: ship}}, store.Root},
		{"from outside, of another ship", item{Packet: packet.Packet{ID: packet.NewID(), Ship: ship}}, store.Root},
		{"from an injector", item{Packet: packet.Packet{ID: root, Ship: ship, Trail: hop}}, store.Root},
		{"of a packet from outside", item{Packet: packet.Packet{ID: packet.RunID(1, 0, root).Output(0), Ship: ship, Trail: hop}}, store.Descendant},
		{"a root that failed", item{Packet: packet.Packet{ID: root, Ship: ship, Trail: hop, Fault: &packet.Fault{}}}, store.Descendant},
		{"pulled", item{Packet: packet.Packet{ID: root, Ship: ship}, from: &unit{}}, store.Descendant},
	} {
		if got := rank(&c.it); got != c.want {
			t.Errorf("%s: rank %d, want %d", c.what, got, c.want)
		}
	}
}
