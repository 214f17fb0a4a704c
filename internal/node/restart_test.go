package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// between opens the store of a folder that no node has now.
func between(t *testing.T, dir string, look func(store.Store)) {
	t.Helper()
	s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	look(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// life is one node on the folder, from its start to its end, with the store
// that it opens. Its seeds come from host.
func life(t *testing.T, dir string, live func(w *world)) {
	t.Helper()
	s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	w := newStoredWorld(t, s, Disk)
	w.start()
	defer w.end()
	live(w)
}

func waitsFor(w *world, state packet.State) int {
	for _, q := range w.Status(w.t.Context()).Waiting {
		if q.State == state {
			return q.Packets
		}
	}
	return 0
}

// TestWhatWaitsOutlivesItsNode has packets wait in a state, and in the inbox of
// a seed, that only later nodes have a seed for.
func TestWhatWaitsOutlivesItsNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const total = 20
	var want []string
	life(t, dir, func(w *world) {
		w.host(w.seed("ab", "A:A -> B:B", give("b")))
		in := w.Intake()
		for i := range total {
			if err := in.Put(t.Context(), packet.Packet{State: "A:A", Data: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprint(i, "bc"))
		}
		testenv.Eventually(t, 20*time.Second, "all wait", func() bool { return waitsFor(w, "B:B") == total })
		if err := w.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, err := w.Left(t.Context()); left != total || err != nil {
			t.Errorf("%d packets are left, %v", left, err)
		}
	})
	slices.Sort(want)
	stuck := func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
		<-ctx.Done()
		return ctx.Err()
	}
	life(t, dir, func(w *world) { // takes them up and ends with all of them under way
		w.host(w.seed("bc", "B:B -> C:C", stuck))
		testenv.Eventually(t, 20*time.Second, "none waits", func() bool { return waitsFor(w, "B:B") == 0 })
	})
	life(t, dir, func(w *world) { // is not told to load the seed: what only that took is routed anew
		testenv.Eventually(t, 20*time.Second, "all wait again", func() bool { return waitsFor(w, "B:B") == total })
	})
	life(t, dir, func(w *world) {
		var end basket
		w.host(w.seed("bc", "B:B -> C:C", give("c")), w.seed("end", "C:C ->", end.run))
		testenv.Eventually(t, 20*time.Second, "all arrive", func() bool { return slices.Equal(slices.Compact(end.data()), want) })
		testenv.Eventually(t, 20*time.Second, "nothing is left", func() bool {
			left, err := w.Left(t.Context())
			return left == 0 && err == nil
		})
	})
}

// TestAFailedPacketKeepsItsFaultAndItsAttempts ends the node between the
// attempts on a packet, and after the last.
func TestAFailedPacketKeepsItsFaultAndItsAttempts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var id packet.ID
	bad := func(w *world) {
		m := w.seed("bad", "A:A ->", failAlways)
		m.Retries = 5
		w.pauseAfter = func(int32) time.Duration { return 4 * longDelay }
		w.host(m)
	}
	life(t, dir, func(w *world) {
		bad(w)
		p := somePackets(1, "A:A")[0]
		p.Attempt, id = 4, p.ID
		if err := w.Inject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 20*time.Second, "it waits for its next attempt", func() bool {
			left := lying(t, w.store, "in.bad")
			return len(left) == 1 && left[0].packets[0].Attempt == 5
		})
	})
	life(t, dir, func(w *world) {
		bad(w)
		testenv.Eventually(t, 20*time.Second, "it has failed", func() bool { return waitsFor(w, "Error:bad") == 1 })
	})
	life(t, dir, func(w *world) {
		left := lying(t, w.store, "wait.Error.bad")
		if len(left) != 1 {
			t.Fatalf("%d frames wait", len(left))
		}
		p := left[0].packets[0]
		if f := p.Fault; p.ID != id || p.Data != "0" || f == nil || f.Error != "no such galaxy" || f.State != "A:A" || f.Attempts != 6 {
			t.Errorf("what waits is %+v, %+v", p, p.Fault)
		}
	})
}

// TestADamagedFrameIsSetAside has one in an inbox and one among those that
// wait, between others.
func TestADamagedFrameIsSetAside(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	w := newStoredWorld(t, s, Memory)
	dir := t.TempDir()
	book := &testenv.Journal{}
	w.Node = New(Config{Name: "test", Store: s, Durability: Memory, Kinds: w.cfg.Kinds, Log: book.Log(),
		SetAside: func(at store.Queue, number uint64, data []byte) error {
			return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d", at, number)), data, 0o600)
		}})
	ps := somePackets(4, "A:A")
	for i, at := range []store.Queue{"in.end", "in.end", "wait.A.A", "wait.A.A"} {
		data := []byte(fmt.Sprintf("%s is no frame", at))
		appendData(t, s, at, data, 1)
		appendFrame(t, s, at, packet.FrameHeader{}, ps[i])
	}
	var end basket
	w.host(w.seed("end", "A:A ->", end.run))
	w.start()
	testenv.Eventually(t, 10*time.Second, "the others arrive", func() bool { return end.count() == 4 })
	w.drain()
	end.want(t, "0", "1", "2", "3")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Fatalf("set aside: %v, %v", files, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, files[0].Name())); err != nil || string(data) != "in.end is no frame" {
		t.Errorf("%s holds %q, %v", files[0].Name(), data, err)
	}
	if n := book.Count("is damaged"); n != 4 {
		t.Errorf("the log tells of %d damaged frames", n)
	}
	if damage := w.Status(t.Context()).Store.Damage; len(damage) != 1 || !strings.Contains(damage[0], "4 frames") {
		t.Errorf("the status says %q", damage)
	}
}

// TestRetryOfWhatWaitsForItsTime: a packet that is tried again only later is tried now when
// somebody says so.
func TestRetryOfWhatWaitsForItsTime(t *testing.T) {
	w := newStoredWorld(t, inMemory(t, pebble.Config{}), Memory)
	w.pauseAfter = func(int32) time.Duration { return time.Hour }
	var got basket
	var mended atomic.Bool
	m := w.seed("s", "A:A ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		if !mended.Load() {
			return errors.New("the service is away")
		}
		return got.run(ctx, in, emit)
	})
	m.Retries = 1
	w.host(m)
	w.start()
	ps := somePackets(3, "A:A")
	for _, p := range ps {
		if err := w.Inject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, 10*time.Second, "all wait for their next attempt", func() bool {
		left := 0
		for _, r := range lying(t, w.store, "in.s") {
			if !r.notBefore.IsZero() {
				left += len(r.packets)
			}
		}
		return left == len(ps)
	})
	mended.Store(true)
	unknown := packet.NewID()
	n, err := w.Retry(t.Context(), Selection{IDs: []packet.ID{ps[1].ID, unknown}})
	var missing *NotWaitingError
	if n != 1 || !errors.As(err, &missing) || !slices.Equal(missing.Names, []string{unknown.String()}) {
		t.Errorf("%d are tried now, %v; expected one, and that the other is not there", n, err)
	}
	testenv.Eventually(t, 10*time.Second, "it runs", func() bool { return slices.Contains(got.data(), ps[1].Data) })
}
