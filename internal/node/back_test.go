package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// holdUp is a seed whose packets are quick, but for those with the data "long", which
// are counted in held and wait at the gate.
func (w *world) holdUp(name, contract string, workers int, gate chan struct{}, held *atomic.Int64, into *basket) seed.Manifest {
	m := w.seed(name, contract, func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		if in.Data == "long" {
			held.Add(1)
			<-gate
		}
		return into.run(ctx, in, emit)
	})
	m.Workers, m.File = workers, name
	return m
}

// TestWhatStandsBehindALongRun is run by other workers: it was given to a worker with
// a packet that takes far longer than was predicted.
func TestWhatStandsBehindALongRun(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	var held atomic.Int64
	var got basket
	var first atomic.Int64
	m := w.seed("s", "T:S ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		switch in.Data {
		case "first": // others queue up behind it
			first.Add(1)
			<-gate
		case "long":
			held.Add(1)
			<-gate
		}
		return got.run(ctx, in, emit)
	})
	m.Workers = 2
	w.host(m)
	w.start()
	w.snap.Load().hosts["s"].cost.add(18*time.Microsecond, 1, 1) // as quick as can be
	for i := range int64(2) {                                    // one by one: a worker each
		w.inject("T:S", "first", nil)
		testenv.Eventually(t, 10*time.Second, "a worker has it", func() bool { return first.Load() == i+1 })
	}
	w.inject("T:S", "long", nil)
	for range 17 {
		w.inject("T:S", "quick", nil)
	}
	gate <- struct{}{}
	testenv.Eventually(t, 10*time.Second, "the long one runs", func() bool { return held.Load() == 1 })
	gate <- struct{}{} // the other worker is free
	testenv.Eventually(t, 10*time.Second, "all others have ended", func() bool { return got.count() == 19 })
	open()
	w.drain()
	if got.count() != 20 || held.Load() != 1 {
		t.Errorf("of 20 packets %d runs ended, of the long one %d", got.count(), held.Load())
	}
}

// TestAStopBeginsNothing: what is queued when a node with a disk stops stays in the
// store, and runs once after that.
func TestAStopBeginsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const total = 50
	var got basket
	var held atomic.Int64
	life(t, dir, func(w *world) {
		gate := make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		w.host(w.holdUp("s", "T:S ->", 1, gate, &held, &got))
		in := w.Intake()
		for i := range total {
			data := "long"
			if i > 0 {
				data = fmt.Sprint(i)
			}
			if err := in.Put(t.Context(), packet.Packet{State: "T:S", Data: data}); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				testenv.Eventually(t, 10*time.Second, "the first runs", func() bool { return held.Load() == 1 })
			}
		}
		testenv.Eventually(t, 10*time.Second, "some lie ahead", func() bool {
			queued, _ := w.inFlight()
			return queued > 0
		})
		drained := make(chan error)
		go func() { drained <- w.Drain(t.Context()) }()
		testenv.Eventually(t, 10*time.Second, "nothing is queued", func() bool {
			u := w.Unfinished()
			return w.Card().Leaving && len(u) == 1 && u[0].Queued == 0 && u[0].Running == 1
		})
		open()
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		if left, err := w.Left(t.Context()); left != total-1 || got.count() != 1 || err != nil {
			t.Errorf("%d ran and %d are left, %v", got.count(), left, err)
		}
	})
	life(t, dir, func(w *world) {
		w.host(w.seed("s", "T:S ->", got.run))
		testenv.Eventually(t, 20*time.Second, "all have run", func() bool { return got.count() == total })
		w.drain()
	})
	seen := map[string]int{}
	for _, data := range got.data() {
		seen[data]++
	}
	if len(seen) != total || got.count() != total {
		t.Errorf("%d runs of %d packets", got.count(), len(seen))
	}
}

// TestANodeThatIsBusyLeavesPacketsToOthers: what it took ahead goes back while all its
// workers are at long runs, and to where it came from when it leaves.
func TestANodeThatIsBusyLeavesPacketsToOthers(t *testing.T) {
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprintf("own=%v", own), func(t *testing.T) {
			t.Parallel()
			c := newCircle(t)
			a, b, source := c.node("a", Disk), c.node("b", Disk), c.node("source", Disk)
			if own {
				source = a
			}
			gate := make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			defer open()
			var held atomic.Int64
			var busy, free basket
			a.host(a.holdUp("s", "T:S ->", 1, gate, &held, &busy))
			c.meet(a, b, source)
			source.inject("T:S", "long", nil)
			testenv.Eventually(t, 10*time.Second, "it runs", func() bool { return held.Load() == 1 })
			for i := range 30 {
				source.inject("T:S", fmt.Sprint(i), nil)
			}
			testenv.Eventually(t, 10*time.Second, "some lie ahead", func() bool {
				queued, _ := a.inFlight()
				return queued > 0
			})
			b.host(b.holdUp("s", "T:S ->", 1, gate, &held, &free))
			testenv.Eventually(t, 30*time.Second, "the other runs all of them", func() bool { return free.count() == 30 })
			open()
			c.rests(20 * time.Second)
			if busy.count() != 1 || free.count() != 30 {
				t.Errorf("one node ran %d packets, the other %d", busy.count(), free.count())
			}
		})
	}
}

// TestALeaverGivesBack: what a node took ahead from another one, and has not begun, is
// the other's again at once, also of a frame that has begun.
func TestALeaverGivesBack(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, source := c.node("a", Disk), c.node("source", Disk)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	var held atomic.Int64
	var ran, later basket
	a.host(a.holdUp("s", "T:S ->", 1, gate, &held, &ran))
	c.meet(a, source)
	a.snap.Load().hosts["s"].cost.add(time.Millisecond, 1, 1)
	a.change.Lock()
	a.say() // so that frames hold several
	a.change.Unlock()
	testenv.Eventually(t, 10*time.Second, "the cost is known", func() bool { return source.snap.Load().costs["s"] > 0 })
	in := source.Intake()
	for i := range 30 {
		data := "long"
		if i > 0 {
			data = fmt.Sprint(i)
		}
		if err := in.Put(t.Context(), packet.Packet{State: "T:S", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, "one runs", func() bool { return held.Load() == 1 })
	before := ran.count()
	drained := make(chan error)
	go func() { drained <- a.Drain(t.Context()) }()
	testenv.Eventually(t, 10*time.Second, "nothing is queued", func() bool {
		u := a.Unfinished()
		return a.Card().Leaving && len(u) == 1 && u[0].Queued == 0 && u[0].Running == 1
	})
	source.host(source.seed("s", "T:S ->", later.run))
	testenv.Eventually(t, 20*time.Second, "the others run elsewhere", func() bool { return later.count() == 30-1-before })
	open()
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	source.drain()
	if ran.count()+later.count() != 30 || held.Load() != 1 {
		t.Errorf("%d and %d of 30 packets ran, the long one %d times", ran.count(), later.count(), held.Load())
	}
}

// TestARestEnds although the worker that was waited for has ended before it began.
func TestARestEnds(t *testing.T) {
	c := newCircle(t)
	w := c.node("a", Disk)
	var got basket
	w.host(w.seed("s", "T:S ->", got.run))
	h := w.snap.Load().hosts["s"]
	if left := h.rest(int64(w.clock.now())); len(left.all()) > 0 {
		t.Fatal("something was queued")
	}
	appendFrame(t, w.store, h.inbox, packet.FrameHeader{}, somePackets(1, "T:S")...)
	testenv.Eventually(t, 10*time.Second, "what comes is pulled", func() bool { return got.count() == 1 })
}

// A doubted lease is one of an owner that is silent, when it says so.
type doubted struct {
	store.Lease
	lapsed atomic.Bool
}

func (l *doubted) Lapsed() bool { return l.lapsed.Load() }

// TestWhatMayHaveLapsedDoesNotBegin: a run whose packet the owner may have given to
// another node is left to that.
func TestWhatMayHaveLapsedDoesNotBegin(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	var held atomic.Int64
	var got basket
	w.host(w.holdUp("s", "T:S ->", 1, gate, &held, &got))
	w.start()
	w.inject("T:S", "long", nil)
	testenv.Eventually(t, 10*time.Second, "it runs", func() bool { return held.Load() == 1 })
	var leases []*doubted
	h := w.snap.Load().hosts["s"]
	for i := range 4 {
		ps := []packet.Packet{{ID: packet.NewID(), State: "T:S", Data: fmt.Sprint(i)}}
		lease := &doubted{Lease: idleLease{}}
		leases = append(leases, lease)
		w.enqueue(h, ps, w.origin(&peer{name: "owner"}, store.Inbox("s"), lease, ps).units)
	}
	leases[0].lapsed.Store(true)
	leases[2].lapsed.Store(true)
	open()
	w.drain()
	if data := got.data(); !slices.Equal(data, []string{"1", "3", "long"}) {
		t.Errorf("%q ran", data)
	}
}

// An idleLease is a lease of nothing.
type idleLease struct{}

func (idleLease) Data() []byte                { return nil }
func (idleLease) Number() uint64              { return 1 }
func (idleLease) Deliveries() int             { return 1 }
func (idleLease) Ack() error                  { return nil }
func (idleLease) Release(time.Duration) error { return nil }
