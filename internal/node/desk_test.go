package node

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"context"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// shown are the packets that wait in a state.
func shown(w *world, state packet.State) (out []packet.Packet) {
	w.t.Helper()
	err := w.Show(w.t.Context(), state, func(p packet.Packet) bool {
		out = append(out, p)
		return true
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestRetryGivesAFailedPacketItsStateBack(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	w := newStoredWorld(t, s, Memory)
	var end basket
	var mended atomic.Bool
	bad := w.seed("bad", "A:A ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		if !mended.Load() {
			return errors.New("no such galaxy")
		}
		return end.run(ctx, in, emit)
	})
	bad.Retries = 1
	w.host(bad)
	// Who takes the state as well had its copy: a retry is not for it.
	var other basket
	w.host(w.seed("other", "A:A ->", other.run))
	w.start()
	ps := somePackets(6, "A:A")
	for _, p := range ps {
		if err := w.Inject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, 10*time.Second, "all have failed", func() bool { return len(shown(w, "Error:bad")) == len(ps) })

	// Failing again, it comes back as it was.
	if n, err := w.Retry(t.Context(), Selection{IDs: []packet.ID{ps[1].ID}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	testenv.Eventually(t, 10*time.Second, "it has failed again", func() bool { return len(shown(w, "Error:bad")) == len(ps) })
	for _, p := range shown(w, "Error:bad") {
		if f := p.Fault; f == nil || f.Attempts != 2 || f.State != "A:A" || p.DeadLetters != 1 || p.Attempt != 0 {
			t.Errorf("what waits is %+v, %+v", p, p.Fault)
		}
	}

	mended.Store(true)
	if n, err := w.Retry(t.Context(), Selection{IDs: []packet.ID{ps[1].ID, ps[2].ID}}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	testenv.Eventually(t, 10*time.Second, "two arrive", func() bool { return end.count() == 2 })
	end.want(t, "1", "2")
	for _, p := range end.got {
		if p.ID != ps[1].ID && p.ID != ps[2].ID || p.State != "A:A" || p.Fault != nil || p.Attempt != 0 || p.DeadLetters != 0 {
			t.Errorf("the seed got %+v", p)
		}
	}
	if n, err := w.Drop(t.Context(), Selection{IDs: []packet.ID{ps[0].ID}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := w.Retry(t.Context(), Selection{States: []packet.State{"Error:bad"}}); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	w.drain()
	end.want(t, "1", "2", "3", "4", "5")
	other.want(t, "0", "1", "2", "3", "4", "5")
	if places, err := s.Queues(t.Context()); err != nil || len(places) != 0 {
		t.Errorf("left: %v, %v", places, err)
	}
}

// TestOneOfAFrameIsHandled drops and retries single packets of a frame; the
// others go on waiting.
func TestOneOfAFrameIsHandled(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	ps := somePackets(5, "A:A")
	appendFrame(t, s, "wait.A.A", packet.FrameHeader{}, ps[:3]...)
	appendFrame(t, s, "wait.A.A", packet.FrameHeader{}, ps[3:]...)
	w := newStoredWorld(t, s, Memory)
	w.start()
	if n, err := w.Drop(t.Context(), Selection{IDs: []packet.ID{ps[1].ID}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := w.Retry(t.Context(), Selection{IDs: []packet.ID{ps[3].ID}}); n != 1 || err != nil { // nobody takes it yet
		t.Fatal(n, err)
	}
	if got := shown(w, "A:A"); len(got) != 4 {
		t.Fatalf("%d packets wait, want 4", len(got))
	}
	var end basket
	w.host(w.seed("end", "A:A ->", end.run))
	testenv.Eventually(t, 10*time.Second, "the rest arrives", func() bool { return end.count() == 4 })
	w.drain()
	end.want(t, "0", "2", "3", "4")
}

func TestWhatDoesNotWaitIsNamed(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	ps := somePackets(2, "A:A")
	appendFrame(t, s, "wait.A.A", packet.FrameHeader{}, ps[:1]...)
	w := newStoredWorld(t, s, Memory)
	w.start()
	unknown := packet.NewID()
	for what, do := range map[string]func(context.Context, Selection) (int, error){"retry": w.Retry, "drop": w.Drop} {
		n, err := do(t.Context(), Selection{States: []packet.State{"B:B"}, IDs: []packet.ID{unknown}})
		if n != 0 || !errors.Is(err, ErrNotWaiting) || !strings.Contains(err.Error(), unknown.String()) || !strings.Contains(err.Error(), "B:B") {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	n, err := w.Drop(t.Context(), Selection{States: []packet.State{"A:A"}, IDs: []packet.ID{unknown}})
	if n != 1 || !errors.Is(err, ErrNotWaiting) || strings.Contains(err.Error(), "A:A") {
		t.Errorf("a state that waits and an unknown id: %d, %v", n, err)
	}
}

// TestWhatCannotMoveStays retries while the store takes nothing: the error says
// so, and no packet is lost.
func TestWhatCannotMoveStays(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	ps := somePackets(3, "A:A")
	for i := range ps {
		ps[i].Fault, ps[i].State = &packet.Fault{State: "A:A", Attempts: 1}, "Error:end"
	}
	appendFrame(t, rec, "wait.Error.end", packet.FrameHeader{}, ps...)
	var full atomic.Bool
	full.Store(true)
	rec.refuse = func(store.Queue, store.Frame) error {
		if full.Load() {
			return store.ErrFull
		}
		return nil
	}
	w := newStoredWorld(t, rec, Memory)
	var end basket
	w.host(w.seed("end", "A:A ->", end.run))
	w.start()
	sel := Selection{States: []packet.State{"Error:end"}}
	if n, err := w.Retry(t.Context(), sel); n != 0 || err == nil || errors.Is(err, ErrNotWaiting) {
		t.Errorf("a full store: %d, %v", n, err)
	}
	if got := shown(w, "Error:end"); len(got) != 3 {
		t.Errorf("%d packets wait", len(got))
	}
	full.Store(false)
	if n, err := w.Retry(t.Context(), sel); n != 3 || err != nil {
		t.Errorf("with room: %d, %v", n, err)
	}
	w.drain()
	end.want(t, "0", "1", "2")
}

// TestHandlingWhileSeedsCome retries and drops while what waits is on its way
// to seeds that come and go: each packet goes one way, once.
func TestHandlingWhileSeedsCome(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	const total = 300
	ps := somePackets(total, "A:A")
	for i := 0; i < total; i += 3 {
		appendFrame(t, rec, "wait.A.A", packet.FrameHeader{}, ps[i:i+3]...)
	}
	w := newStoredWorld(t, rec, Memory)
	var end basket
	w.start()
	dropped := make(chan int)
	go func() {
		sum := 0
		for i := 0; i < total; i += 2 {
			n, err := w.Drop(context.Background(), Selection{IDs: []packet.ID{ps[i].ID}})
			if err != nil && !errors.Is(err, ErrNotWaiting) {
				w.t.Error(err)
			}
			sum += n
		}
		dropped <- sum
	}()
	for range 5 {
		w.host(w.seed("end", "A:A ->", end.run))
		w.waits.rescan()
		w.Unhost("end")
	}
	w.host(w.seed("end", "A:A ->", end.run))
	sum := <-dropped
	w.drain()
	if got := end.count(); got+sum != total {
		t.Errorf("%d arrived and %d were dropped, of %d", got, sum, total)
	}
	seen := map[string]int{}
	for _, data := range end.data() {
		if seen[data]++; seen[data] > 1 {
			t.Error(fmt.Sprint(data, " arrived more than once"))
		}
	}
}
