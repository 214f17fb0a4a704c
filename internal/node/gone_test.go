package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// gated is a seed with one worker, which is counted in entered and then waits at
// the gate.
func (w *world) gated(name, contract string, gate chan struct{}, entered *atomic.Int64, into *basket) seed.Manifest {
	m := w.seed(name, contract, func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		entered.Add(1)
		<-gate
		return into.run(ctx, in, emit)
	})
	m.Workers, m.File = 1, name
	return m
}

// unhostWhole unhosts a seed whose worker is held at its gate, and returns when
// what was queued for it lies elsewhere.
func (w *world) unhostWhole(name seed.Name) {
	w.t.Helper()
	h := w.snap.Load().hosts[name]
	w.Unhost(name)
	testenv.Eventually(w.t, 10*time.Second, "the queue is closed", func() bool {
		h.queue.mu.Lock()
		defer h.queue.mu.Unlock()
		return h.queue.gone
	})
}

// TestPacketsOfARenamedSeed: what lay in the queue of a seed that had it alone
// goes to the seed that came before the old one went, as when a file's pmk-name
// is edited.
func TestPacketsOfARenamedSeed(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	var entered atomic.Int64
	var a, b basket
	w.host(w.gated("a", "T:S ->", gate, &entered, &a))
	w.start()
	for range 10 {
		w.inject("T:S", "x", nil)
	}
	testenv.Eventually(t, 10*time.Second, "one runs and others are queued", func() bool {
		queued, _ := w.inFlight()
		return queued > 0 && entered.Load() == 1
	})
	w.host(w.seed("b", "T:S ->", b.run))
	w.unhostWhole("a")
	testenv.Eventually(t, 10*time.Second, "the new seed has what was queued", func() bool { return b.count() > 0 })
	close(gate)
	testenv.Eventually(t, 10*time.Second, "the old seed has gone", func() bool { return w.leftCount() == 0 })
	w.drain()
	left, err := w.count(t.Context())
	if err != nil || a.count()+b.count()+left != 10 {
		t.Errorf("of 10 packets the old seed ran %d, the new one %d, and %d lie in the store; %v", a.count(), b.count(), left, err)
	}
}

// TestWhatASeedThatHasEndedStillRuns is not moved to its successor: it would run twice.
func TestWhatASeedThatHasEndedStillRuns(t *testing.T) {
	c := newCircle(t)
	w := c.node("a", Disk)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	var entered atomic.Int64
	var a, b basket
	w.host(w.gated("a", "T:S ->", gate, &entered, &a))
	w.inject("T:S", "x", nil)
	testenv.Eventually(t, 10*time.Second, "it runs", func() bool { return entered.Load() == 1 })
	w.host(w.seed("b", "T:S ->", b.run))
	w.Unhost("a")
	testenv.Eventually(t, 10*time.Second, "the seed has ended", func() bool { return w.snap.Load().ended["a"] })
	o := &orphans{sorter: w.sorter, since: map[seed.Name]time.Time{}, looked: map[seed.Name]sight{}}
	if err := o.look(time.Now()); err != nil {
		t.Fatal(err)
	}
	open()
	testenv.Eventually(t, 10*time.Second, "the old seed has gone", func() bool { return w.leftCount() == 0 })
	w.drain()
	if left, err := w.count(t.Context()); a.count() != 1 || b.count() != 0 || left != 0 || err != nil {
		t.Errorf("the old seed ran %d, the new one %d, and %d lie in the store; %v", a.count(), b.count(), left, err)
	}
}

// TestTheCopyOfASeedThatIsGone waits in the seed's inbox, and who follows it is
// told so.
func TestTheCopyOfASeedThatIsGone(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	var entered atomic.Int64
	var a, b basket
	w.host(w.gated("a", "T:S ->", gate, &entered, &a), w.seed("b", "T:S ->", b.run))
	w.start()
	w.inject("T:S", "first", nil)
	testenv.Eventually(t, 10*time.Second, "the first is at the gate", func() bool { return entered.Load() == 1 })
	id := packet.NewID()
	w.inject("T:S", "second", &packet.Wish{Follow: id})
	testenv.Eventually(t, 10*time.Second, "the other has its copies", func() bool { return b.count() == 2 })
	w.unhostWhole("a")
	close(gate)
	testenv.Eventually(t, 10*time.Second, "the copy waits", func() bool {
		places, err := w.store.Queues(t.Context())
		return err == nil && a.count() == 1 && len(places) > 0 && places[0].Queue == store.Inbox("a") && places[0].Packets == 1
	})
	testenv.Eventually(t, 10*time.Second, "the ledger says so", func() bool {
		sum, err := w.Ledger(t.Context(), id)
		return err == nil && sum.Live == 0 && sum.Waiting["T:S"] == 1
	})
	w.host(w.seed("a", "T:S ->", a.run))
	testenv.Eventually(t, 10*time.Second, "it runs when the seed is back", func() bool { return a.count() == 2 })
}

// TestWhatWasFiltered: who follows a packet is told which seeds gave nothing for it though they
// might have, and so is who looks at the seeds.
func TestWhatWasFiltered(t *testing.T) {
	w := newWorld(t)
	var got basket
	odd := func(_ context.Context, p packet.Packet, emit gofn.Emit) error {
		if p.Data == "even" {
			return nil
		}
		return emit("", p.Data)
	}
	w.host(w.seed("odd", "T:S -> T:ODD", odd), w.seed("end", "T:ODD ->", got.run))
	w.start()
	id := packet.NewID()
	for _, data := range []string{"even", "odd", "even"} {
		w.inject("T:S", data, &packet.Wish{Follow: id})
	}
	w.inject("T:S", "even", nil)
	testenv.Eventually(t, 10*time.Second, "the ledger says so", func() bool {
		sum, err := w.Ledger(t.Context(), id)
		return err == nil && sum.Live == 0 && sum.Begun == 4 && len(sum.Filtered) == 1 && sum.Filtered["odd"] == 2
	})
	testenv.Eventually(t, 10*time.Second, "the status says so", func() bool { return w.statusOf("odd").Filtered == 3 })
	if n := w.statusOf("end").Filtered; n != 0 {
		t.Errorf("a seed without outputs has filtered %d", n)
	}
}

// TestAForgottenLedger leaves nothing behind, whatever becomes of its packets.
func TestAForgottenLedger(t *testing.T) {
	w := newWorld(t)
	var a basket
	w.start()
	for range 5 {
		id := packet.NewID()
		w.inject("T:S", "x", &packet.Wish{Follow: id})
		if err := w.Forget(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	w.host(w.seed("a", "T:S ->", a.run))
	testenv.Eventually(t, 10*time.Second, "all run", func() bool { return a.count() == 5 })
	w.drain()
	places, err := w.store.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range places {
		t.Errorf("left: %+v", c)
	}
	n := 0
	w.committers.Range(func(_, _ any) bool { n++; return true })
	w.finishers.Range(func(_, _ any) bool { n++; return true })
	if n > 3 { // roots, descendants, frames: whatever was followed
		t.Errorf("%d things are left that store packets", n)
	}
}

// TestAnErrorOfMegabytes is cut to what a frame takes.
func TestAnErrorOfMegabytes(t *testing.T) {
	w := newWorld(t)
	w.host(w.seed("a", "T:S ->", func(context.Context, packet.Packet, gofn.Emit) error {
		return errors.New(strings.Repeat("é", 1<<20))
	}))
	w.start()
	w.inject("T:S", "x", nil)
	var got packet.Packet
	testenv.Eventually(t, 10*time.Second, "it waits in Error:a", func() bool {
		err := w.Show(t.Context(), "Error:a", func(p packet.Packet) bool {
			got = p
			return false
		})
		return err == nil && got.Fault != nil
	})
	if n := len(got.Fault.Error); n > runner.MaxTail+3 || !strings.HasPrefix(got.Fault.Error, "éé") {
		t.Errorf("the error has %d bytes", n)
	}
}

// TestPullsEndWithTheirSeed: editing a seed leaves no pull behind.
func TestPullsEndWithTheirSeed(t *testing.T) {
	w := newWorld(t)
	var a basket
	w.host(w.seed("a", "T:S ->", a.run))
	w.start()
	w.inject("T:S", "x", nil)
	testenv.Eventually(t, 10*time.Second, "it runs", func() bool { return a.count() == 1 })
	before := runtime.NumGoroutine()
	for range 40 {
		w.host(w.seed("a", "T:S ->", a.run))
	}
	testenv.Eventually(t, 10*time.Second, "the old seeds and their pulls end", func() bool {
		return w.leftCount() == 0 && runtime.NumGoroutine() < before+10
	})
}

// inFlight counts what is queued and what runs.
func (n *Node) inFlight() (queued, running int) {
	for _, u := range n.Unfinished() {
		queued += u.Queued
		running += u.Running
	}
	return queued, running
}

// TestAPacketThatOnlyOneSeedHas is known as such when it comes back to the inbox: tried
// again later, or given back by a worker. It is no copy then that could be dropped.
func TestAPacketThatOnlyOneSeedHas(t *testing.T) {
	w := newStoredWorld(t, inMemory(t, pebble.Config{}), Memory)
	w.pauseAfter = func(int32) time.Duration { return time.Hour }
	ms := []seed.Manifest{w.seed("alone", "A:A ->", failAlways), w.seed("one", "B:B ->", failAlways), w.seed("two", "B:B -> C:C", give("c")), w.seed("three", "C:C ->", failAlways)}
	for i := range ms {
		ms[i].Retries = 1
	}
	w.host(ms...)
	w.start()
	w.inject("A:A", "alone", nil)
	w.inject("B:B", "a copy each", nil)
	for name, sole := range map[seed.Name]bool{"alone": true, "one": false, "three": true} {
		testenv.Eventually(t, 20*time.Second, fmt.Sprintf("%s has it to try again", name), func() bool {
			left := lying(t, w.store, store.Inbox(name))
			return len(left) == 1 && !left[0].notBefore.IsZero()
		})
		if left := lying(t, w.store, store.Inbox(name)); left[0].header.Sole != sole {
			t.Errorf("that %s alone has it: %v", name, left[0].header.Sole)
		}
	}
}

// TestASeedThatIsRemovedWhileItLoads does not come back.
func TestASeedThatIsRemovedWhileItLoads(t *testing.T) {
	w := newWorld(t)
	w.start()
	m := w.seed("s", "T:S ->", failAlways)
	m.Kind = seed.Process // which is loaded in the background
	for range 2000 {
		w.host(m)
		w.Unhost("s")
		if w.snap.Load().hosts["s"] != nil {
			t.Fatal("it is hosted again")
		}
	}
	testenv.Eventually(t, 20*time.Second, "all have ended", func() bool { return w.leftCount() == 0 })
	if w.snap.Load().hosts["s"] != nil {
		t.Error("it is hosted again")
	}
}

// TestVersionsTogether have as many workers as the seed says: one that finishes what it has
// counts.
func TestVersionsTogether(t *testing.T) {
	for _, contract := range []string{"T:S ->", "-> T:S"} {
		t.Run(contract, func(t *testing.T) {
			w := newWorld(t)
			gate := make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			defer open()
			var now, most, ran atomic.Int64
			var version [3]seed.Manifest
			for i := range version {
				m := w.seed("s", contract, nil)
				m.Kind, m.Workers, m.Version = seed.Process, 1, fmt.Sprint(i)
				w.fns["s"+m.Version] = func(context.Context, packet.Packet, gofn.Emit) error {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					ran.Add(1)
					<-gate
					return nil
				}
				version[i] = m
			}
			w.start()
			w.host(version[0])
			if err := w.Loaded(t.Context(), "s"); err != nil {
				t.Fatal(err)
			}
			w.inject("T:S", "0", nil)
			testenv.Eventually(t, 10*time.Second, "the first runs", func() bool { return now.Load() == 1 })
			for i, m := range version[1:] {
				w.host(m)
				testenv.Eventually(t, 10*time.Second, "the next is there", func() bool { return w.Seeds()[0].Version == m.Version })
				w.inject("T:S", fmt.Sprint(i+1), nil)
			}
			time.Sleep(100 * time.Millisecond) // in which one too many would begin
			open()
			testenv.Eventually(t, 10*time.Second, "all have run", func() bool { return ran.Load() >= 2 && now.Load() == 0 && w.leftCount() == 0 })
			if most.Load() != 1 {
				t.Errorf("%d ran at a time", most.Load())
			}
			if contract == "T:S ->" {
				testenv.Eventually(t, 10*time.Second, "no packet is left", func() bool { return ran.Load() == 3 })
			}
		})
	}
}
