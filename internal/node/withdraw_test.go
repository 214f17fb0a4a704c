package node

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A refusing store takes nothing while it is closed.
type refusing struct {
	*recorder
	shut    atomic.Bool
	refused atomic.Int64
}

func newRefusing(t *testing.T) *refusing {
	r := &refusing{recorder: newRecorder(inMemory(t, pebble.Config{}))}
	r.refuse = func(store.Queue, store.Frame) error {
		if !r.shut.Load() {
			return nil
		}
		r.refused.Add(1)
		return store.ErrFull
	}
	return r
}

// awaitRefusal returns when the store has refused something since.
func (r *refusing) awaitRefusal(t *testing.T) {
	t.Helper()
	before := r.refused.Load()
	testenv.Eventually(t, 10*time.Second, "the store refuses", func() bool { return r.refused.Load() > before })
}

// TestWhoStoppedWaitingHasNotSent gives packets to a full store, with and without a
// copy for each of two seeds, and stops waiting.
func TestWhoStoppedWaitingHasNotSent(t *testing.T) {
	for _, d := range []Durability{Memory, None} {
		t.Run(d.String(), func(t *testing.T) {
			rec := newRefusing(t)
			w, _ := newLoggedWorld(t, rec.recorder, d)
			var end basket
			if d == Memory {
				w.host(w.seed("one", "A:A ->", end.run), w.seed("two", "A:A ->", end.run))
			}
			w.start()
			rec.shut.Store(true)
			ctx, stop := context.WithCancel(t.Context())
			sent := make(chan error, 3)
			for _, wish := range []*packet.Wish{nil, {Follow: packet.NewID()}} {
				go func() { sent <- w.Inject(ctx, packet.Packet{State: "A:A", Data: "gone", Wish: wish}) }()
			}
			go func() { sent <- w.Inject(t.Context(), packet.Packet{State: "A:A", Data: "waits"}) }()
			rec.awaitRefusal(t)
			stop()
			for range 2 {
				if err := <-sent; !errors.Is(err, context.Canceled) {
					t.Fatalf("who stopped waiting gets %v", err)
				}
			}
			rec.shut.Store(false)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if d == None {
				w.host(w.seed("one", "A:A ->", end.run), w.seed("two", "A:A ->", end.run))
			}
			w.inject("A:A", "after", nil)
			w.drain()
			end.want(t, "after", "after", "waits", "waits")
		})
	}
}

// TestWhatIsStoredIsTaken stops waiting while the store has the packet already.
func TestWhatIsStoredIsTaken(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	has, goOn := make(chan bool), make(chan bool)
	rec.refuse = func(store.Queue, store.Frame) error {
		has <- true
		<-goOn
		return nil
	}
	w, _ := newLoggedWorld(t, rec, Memory)
	w.start()
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan error)
	go func() { sent <- w.Inject(ctx, packet.Packet{State: "A:A"}) }()
	<-has
	stop()
	goOn <- true
	if err := <-sent; err != nil {
		t.Errorf("a packet that is stored is answered with %v", err)
	}
}

// TestALargePacketIsWithdrawn leaves no large data behind.
func TestALargePacketIsWithdrawn(t *testing.T) {
	rec := newRefusing(t)
	blobs := blob.Open(blob.Config{Dir: t.TempDir()})
	w := newWorld(t)
	w.Node = New(Config{Name: "test", Store: rec.recorder, Blobs: blobs, Durability: Memory, Kinds: w.cfg.Kinds})
	w.start()
	testenv.Eventually(t, 10*time.Second, "the node looks for what is left", func() bool { return blobs.Used() == 0 })
	rec.shut.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan error)
	go func() {
		sent <- w.InjectData(ctx, packet.Packet{State: "A:A"}, bytes.NewReader(make([]byte, store.MaxInline+1)), -1)
	}()
	rec.awaitRefusal(t)
	if blobs.Used() == 0 {
		t.Fatal("there is no large data")
	}
	stop()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if used := blobs.Used(); used != 0 {
		t.Errorf("%d bytes are left of a packet that was not sent", used)
	}
}

// TestCopiesGoTogether stops waiting once the first of two queues has the packet,
// where none is stored: the second gets it all the same.
func TestCopiesGoTogether(t *testing.T) {
	w, _ := newLoggedWorld(t, inMemory(t, pebble.Config{}), None)
	var fast, slow basket
	gate := make(chan struct{})
	w.host(w.seed("fast", "A:A ->", fast.run), w.seed("slow", "A:A | A:SLOW ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		<-gate
		return slow.run(ctx, in, emit)
	}))
	w.start()
	ctx, stop := context.WithCancel(t.Context())
	filled := make(chan error)
	go func() {
		var err error
		for err == nil {
			err = w.Inject(ctx, packet.Packet{State: "A:SLOW", Data: "slow"})
		}
		filled <- err
	}()
	h := w.snap.Load().hosts["slow"]
	testenv.Eventually(t, 10*time.Second, "the queue is full", func() bool {
		h.queue.mu.Lock()
		defer h.queue.mu.Unlock()
		return h.queue.full()
	})
	sent := make(chan error)
	go func() { sent <- w.Inject(ctx, packet.Packet{State: "A:A", Data: "both"}) }()
	testenv.Eventually(t, 10*time.Second, "the first seed has it", func() bool { return fast.count() == 1 })
	stop()
	if err := <-filled; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-sent; err != nil {
		t.Errorf("a packet that one seed has is answered with %v", err)
	}
	close(gate)
	w.drain()
	both := 0
	for _, data := range slow.data() {
		if data == "both" {
			both++
		}
	}
	if both != 1 {
		t.Errorf("the second seed got it %d times", both)
	}
}
