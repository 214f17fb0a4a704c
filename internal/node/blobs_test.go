package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
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

// A rest is where the packets of a node rest that is ended and started again.
type rest struct {
	dir string // of the blobs
	d   Durability
	mem store.Store
	at  string // of the store on disk
}

// eachStore runs test with a store in memory and with one on disk.
func eachStore(t *testing.T, test func(t *testing.T, r *rest)) {
	for _, d := range []Durability{Memory, Disk} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			test(t, &rest{dir: t.TempDir(), d: d, mem: inMemory(t, pebble.Config{}), at: t.TempDir()})
		})
	}
}

// world is a node on what rests; end ends it and closes the store.
func (r *rest) world(t *testing.T) (w *world, end func()) {
	w = newWorld(t)
	s, closeStore := r.mem, func() error { return nil }
	if r.d == Disk {
		js, err := pebble.Open(t.Context(), pebble.Config{Dir: r.at})
		if err != nil {
			t.Fatal(err)
		}
		s, closeStore = js, js.Close
	}
	w.Node = New(Config{Name: "test", Run: "run", Store: s, Blobs: blob.Open(blob.Config{Dir: r.dir}), Durability: r.d, Kinds: w.cfg.Kinds})
	end = sync.OnceFunc(func() {
		if w.end != nil {
			w.end()
		}
		if err := closeStore(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return w, end
}

// files are those that hold large data, or half of it.
func (r *rest) files(t *testing.T) (found []string) {
	t.Helper()
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		t.Error(err)
	}
	return found
}

// wantEmpty waits until no large data is left.
func (r *rest) wantEmpty(t *testing.T) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(r.files(t))
		}
	}()
	testenv.Eventually(t, 10*time.Second, "all large data is removed", func() bool { return len(r.files(t)) == 0 })
}

// large is a text that goes into no frame.
func large(name string) string { return name + strings.Repeat("galaxy", store.MaxInline/5) }

// wantLarge says what is wrong with the texts that a basket got.
func wantLarge(t *testing.T, b *basket, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	left := map[string]int{}
	for _, text := range want {
		left[text]++
	}
	for _, p := range b.got {
		if left[p.Data]--; left[p.Data] < 0 || p.Blob != nil {
			t.Errorf("unexpected: %d bytes, %.20q, reference %v", len(p.Data), p.Data, p.Blob)
		}
	}
	if len(b.got) != len(want) {
		t.Errorf("%d packets arrived; expected %d", len(b.got), len(want))
	}
}

func TestLargeDataGoesThrough(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		w, _ := r.world(t)
		var here, there basket
		w.host(
			w.seed("inject", "-> A:A", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
				return errors.Join(emit("", large("injected")), emit("", large("twice")), emit("", large("twice")), emit("", "small"))
			}),
			w.seed("grow", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
				return emit("", "grown "+in.Data)
			}),
			w.seed("here", "B:B ->", here.run), w.seed("there", "B:B ->", there.run))
		w.start()
		w.inject("A:A", large("sent"), nil)
		if err := w.InjectData(t.Context(), packet.Packet{State: "A:A"}, strings.NewReader(large("streamed")), -1); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 20*time.Second, "all arrive", func() bool { return here.count() >= 6 && there.count() >= 6 })
		w.drain()
		want := []string{"grown small"}
		for _, name := range []string{"injected", "twice", "twice", "sent", "streamed"} {
			want = append(want, "grown "+large(name))
		}
		wantLarge(t, &here, want...)
		wantLarge(t, &there, want...)
		r.wantEmpty(t)
	})
}

// TestLargeDataFailsAndIsRetried has packets with large data fail for good, on
// one of two ways, and then retried.
func TestLargeDataFailsAndIsRetried(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		w, _ := r.world(t)
		var good, repaired basket
		var mended atomic.Bool
		bad := w.seed("bad", "A:A ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
			if !mended.Load() {
				return errors.New("no such galaxy")
			}
			return repaired.run(ctx, in, emit)
		})
		bad.Retries = 2
		w.host(bad, w.seed("good", "A:A ->", good.run))
		w.start()
		w.inject("A:A", large("one"), nil)
		w.inject("A:A", large("two"), nil)
		waiting := func() (ps []packet.Packet) {
			if err := w.Show(t.Context(), "Error:bad", func(p packet.Packet) bool { ps = append(ps, p); return true }); err != nil {
				t.Fatal(err)
			}
			return ps
		}
		testenv.Eventually(t, 20*time.Second, "both fail", func() bool { return len(waiting()) == 2 && good.count() == 2 })
		for _, p := range waiting() {
			if p.Blob == nil || p.Data != "" || p.Fault == nil || p.Fault.State != "A:A" {
				t.Errorf("it waits with %d bytes, reference %v, fault %v", len(p.Data), p.Blob, p.Fault)
			}
		}
		mended.Store(true)
		if count, err := w.Retry(t.Context(), Selection{States: []packet.State{"Error:bad"}}); count != 2 || err != nil {
			t.Fatalf("%d retried, %v", count, err)
		}
		testenv.Eventually(t, 20*time.Second, "both come again", func() bool { return repaired.count() == 2 })
		w.drain()
		wantLarge(t, &good, large("one"), large("two"))
		wantLarge(t, &repaired, large("one"), large("two"))
		r.wantEmpty(t)
	})
}

func TestDroppedLargeDataIsRemoved(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		w, _ := r.world(t)
		w.start()
		w.inject("A:A", large("one"), nil)
		w.inject("A:A", large("one"), nil) // the same content, once
		w.inject("A:A", large("two"), nil)
		if found := r.files(t); len(found) != 2 {
			t.Errorf("files %v", found)
		}
		if count, err := w.Drop(t.Context(), Selection{States: []packet.State{"A:A"}}); count != 3 || err != nil {
			t.Errorf("%d dropped, %v", count, err)
		}
		r.wantEmpty(t)
	})
}

// TestLargeDataOutlivesANode ends a node while large data waits, and starts
// another that moves it at once, through a seed that fails at first.
func TestLargeDataOutlivesANode(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		const total = 20
		w, end := r.world(t)
		w.start()
		var want []string
		for i := range total {
			want = append(want, large(fmt.Sprint(i)))
			w.inject("A:A", want[i], nil)
		}
		end()
		if found := r.files(t); len(found) != total {
			t.Errorf("%d files; expected %d", len(found), total)
		}
		for range 2 { // both find data of an earlier process
			w, end = r.world(t)
			bad := w.seed("bad", "A:A -> B:B", failAlways)
			w.host(bad)
			w.start()
			testenv.Eventually(t, 20*time.Second, "all fail", func() bool {
				failed := map[packet.ID]bool{}
				if err := w.Show(t.Context(), "Error:bad", func(p packet.Packet) bool { failed[p.ID] = true; return true }); err != nil {
					t.Fatal(err)
				}
				return len(failed) == total
			})
			if count, err := w.Retry(t.Context(), Selection{States: []packet.State{"Error:bad"}}); count < total || err != nil {
				t.Errorf("%d retried, %v", count, err)
			}
			end()
		}
		w, _ = r.world(t)
		var got basket
		w.host(w.seed("bad", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error { return emit("", in.Data) }),
			w.seed("end", "B:B ->", got.run))
		w.start()
		// Those that the node before had failed once more.
		if _, err := w.Retry(t.Context(), Selection{States: []packet.State{"Error:bad"}}); err != nil && !errors.Is(err, ErrNotWaiting) {
			t.Error(err)
		}
		arrived := map[string]bool{} // some twice, as a node was ended at once
		testenv.Eventually(t, 20*time.Second, "all arrive", func() bool {
			got.mu.Lock()
			defer got.mu.Unlock()
			for _, p := range got.got {
				arrived[p.Data] = true
			}
			return len(arrived) >= total
		})
		for _, text := range want {
			if !arrived[text] {
				t.Errorf("%.20q has not arrived", text)
			}
		}
		r.wantEmpty(t)
	})
}

// TestALedgerOfManyLines follows a run that gives more than a frame holds
// lines about.
func TestALedgerOfManyLines(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		const total = 10_000
		w, _ := r.world(t)
		var got basket
		w.host(w.seed("many", "A:A -> B:B", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
			for range total {
				if err := emit("", "x"); err != nil {
					return err
				}
			}
			return nil
		}), w.seed("end", "B:B ->", got.run))
		w.start()
		follow := packet.NewID()
		w.inject("A:A", "x", &packet.Wish{Follow: follow})
		var sum Ledger
		testenv.Eventually(t, 30*time.Second, "all is over", func() bool {
			var err error
			if sum, err = w.Ledger(t.Context(), follow); err != nil {
				t.Fatal(err)
			}
			return sum.Begun > 0 && sum.Live == 0
		})
		if sum.Begun != total+1 || got.count() != total {
			t.Errorf("%d begun, %d arrived; expected %d and %d", sum.Begun, got.count(), total+1, total)
		}
		r.wantEmpty(t)
	})
}
