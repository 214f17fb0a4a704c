package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// newLoggedWorld is a world on s that writes down what it logs.
func newLoggedWorld(t *testing.T, s store.Store, d Durability) (*world, *testenv.Journal) {
	w, book := newWorld(t), &testenv.Journal{}
	cfg := Config{Name: "test", Run: "run", Store: s, Durability: d, Kinds: w.cfg.Kinds, Log: book.Log()}
	w.Node = New(cfg)
	return w, book
}

func TestAFullStoreHoldsBackRootsAlone(t *testing.T) {
	s := inMemory(t, pebble.Config{Size: 64 << 10, Reserve: 64 << 10})
	w, book := newLoggedWorld(t, s, Memory)
	var end basket
	gate := make(chan struct{})
	w.host(w.seed("ab", "A:A -> B:B | C:C", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		<-gate
		return errors.Join(emit("B", in.Data), emit("C", in.Data))
	}), w.seed("end", "B:B ->", end.run)) // what is in C:C takes room for good
	w.start()
	var in atomic.Int64
	const total = 100
	data := strings.Repeat("x", 1000)
	sent := make(chan error, 1)
	go func() {
		for range total {
			if err := w.Inject(context.Background(), packet.Packet{State: "A:A", Data: data}); err != nil {
				sent <- err
				return
			}
			in.Add(1)
		}
		sent <- nil
	}()
	testenv.Eventually(t, 10*time.Second, "the log says why packets are held back", func() bool { return book.Count("packets are held back") > 0 })
	if n := in.Load(); n < 30 || n > 64 {
		t.Errorf("%d packets are in, of 1 KB each; the store has 64 KiB", n)
	}
	// There are bytes left, but not for a packet: who asks is told so all the same.
	if st := w.StoreStatus(); st.Used >= st.Size || st.Held() == "" {
		t.Errorf("%d bytes of %d are used and senders wait, because: %q", st.Used, st.Size, st.Held())
	}
	// 50 packets in A:A make 100 KB of C:C: descendants use the reserve.
	close(gate)
	testenv.Eventually(t, 10*time.Second, "all that are in have ended", func() bool { return int64(end.count()) >= in.Load() })
	if n := book.Count("packets are held back"); n != 1 {
		t.Errorf("the log says %d times that packets are held back", n)
	}
	testenv.Eventually(t, 10*time.Second, "what they gave waits", func() bool { return int64(waitsFor(w, "C:C")) >= in.Load() })
	if _, err := w.Drop(t.Context(), Selection{States: []packet.State{"C:C"}}); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case err := <-sent:
			if err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, 10*time.Second, "all have ended", func() bool { return end.count() == total })
			return
		case <-time.After(50 * time.Millisecond): // not a wait: there is more to drop by then
			w.Drop(t.Context(), Selection{States: []packet.State{"C:C"}}) // or there is none yet
		}
	}
}

// TestFullToTheBrim has a cycle that makes two packets of each until their data
// is long enough, in a store that holds a few hundred: its reserve is full as
// well, frames are given back, and still every packet ends, and no other.
func TestFullToTheBrim(t *testing.T) {
	const depth, roots = 11, 4
	rec := newRecorder(inMemory(t, pebble.Config{Size: 20 << 10, Reserve: 4 << 10}))
	rec.hurry = true
	w, _ := newLoggedWorld(t, rec, Memory)
	var mu sync.Mutex
	ends := map[string]packet.ID{}
	double := func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		if len(in.Data) == depth {
			return emit("END", in.Data)
		}
		return errors.Join(emit("GO", in.Data+"0"), emit("GO", in.Data+"1"))
	}
	w.host(w.seed("go", "T:GO -> T:BACK", give("")), w.seed("back", "T:BACK -> T:GO | T:END", double),
		w.seed("end", "T:END ->", func(_ context.Context, in packet.Packet, _ gofn.Emit) error {
			mu.Lock()
			defer mu.Unlock()
			key := in.Ship.Root.String() + in.Data
			if id, again := ends[key]; again && id != in.ID {
				return fmt.Errorf("%s ended as %s and as %s", key, id, in.ID)
			}
			ends[key] = in.ID
			return nil
		}))
	w.start()
	for i := range roots {
		p := packet.Packet{ID: packet.HashID("root", fmt.Sprint(i)), State: "T:GO"}
		if err := w.Inject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	w.drain()
	if rec.released == 0 {
		t.Error("no frame was given back: the reserve was never full")
	}
	if len(ends) != roots<<depth {
		t.Errorf("%d packets ended, want %d", len(ends), roots<<depth)
	}
	st := w.Status(t.Context())
	if len(st.Waiting) > 0 {
		t.Errorf("waiting: %+v", st.Waiting)
	}
}

// TestAStoreThatBreaksForAWhile refuses everything for a while, appends and
// then pulls: senders are held back, nothing that is in is lost, and it goes on
// by itself.
func TestAStoreThatBreaksForAWhile(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	rec.hurry = true
	var broken atomic.Bool
	var refused atomic.Int64
	rec.refuse = func(store.Queue, store.Frame) error {
		if broken.Load() {
			refused.Add(1)
			return store.ErrBroken
		}
		return nil
	}
	w, book := newLoggedWorld(t, rec, Memory)
	var end basket
	var slow atomic.Bool
	gate := make(chan struct{})
	w.host(w.seed("ab", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		if slow.Load() {
			<-gate
		}
		return emit("", in.Data)
	}), w.seed("bc", "B:B -> C:C", func(_ context.Context, in packet.Packet, emit gofn.Emit) error { return emit("", in.Data) }))
	w.start() // nobody takes C:C: all of it is to be stored
	slow.Store(true)
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint("in", i))
		w.inject("A:A", want[i], nil)
	}
	broken.Store(true)
	sent := make(chan error, 1)
	go func() { sent <- w.Inject(context.Background(), packet.Packet{State: "A:A", Data: "late"}) }()
	close(gate)
	testenv.Eventually(t, 10*time.Second, "many appends are refused", func() bool { return refused.Load() > 100 })
	select {
	case err := <-sent:
		t.Fatal("a packet was taken that was not stored: ", err)
	default:
	}
	if n := book.Count("packets are held back"); n != 1 {
		t.Errorf("the log says %d times that packets are held back", n)
	}
	broken.Store(false)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	w.host(w.seed("end", "C:C ->", end.run))
	want = append(want, "late")
	slices.Sort(want)
	testenv.Eventually(t, 10*time.Second, "all arrive", func() bool {
		got := end.data()
		return slices.Equal(slices.Compact(got), want)
	})
	testenv.Eventually(t, 10*time.Second, "the log says that it goes on", func() bool { return book.Count("takes packets again") == 1 })
}
