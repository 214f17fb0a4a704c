package storetest

import (
	"time"

	"github.com/recap/pumpkin/internal/store"
)

func delayedFrame(to store.Queue, data string, after time.Duration) store.Append {
	a := appendTo(to, data)
	a.After = after
	return a
}

// lookAll is all that a queue shows.
func (b *bench) lookAll(at store.Queue) (seen []store.Stored) {
	b.Helper()
	err := b.store.Look(b.within(long), at, 0, func(s store.Stored) bool {
		seen = append(seen, s)
		return true
	})
	if err != nil {
		b.Fatalf("look at %s: %v", at, err)
	}
	return seen
}

// showsDelayed sees that a queue shows one delayed frame, not before a time that
// lies between two.
func (b *bench) showsDelayed(at store.Queue, data string, from, to time.Time) {
	b.Helper()
	var delayed []store.Stored
	for _, s := range b.lookAll(at) {
		if !s.NotBefore.IsZero() {
			delayed = append(delayed, s)
		}
	}
	const slack = 2 * time.Second
	if len(delayed) != 1 || string(delayed[0].Data) != data || delayed[0].Number != 0 {
		b.Fatalf("%s shows the delayed frames %+v; expected %q", at, delayed, data)
	}
	if nb := delayed[0].NotBefore; nb.Before(from.Add(-slack)) || nb.After(to.Add(slack)) {
		b.Errorf("%q is shown as delayed until %v; expected %v to %v", data, nb, from, to)
	}
}

// A delayed frame is there and cannot be leased before its time.
func testDelayed(b *bench) {
	delay := b.kind.delay()
	start := time.Now()
	b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "later", delay), delayedFrame(wait, "much later", time.Hour), appendTo(greet, "now")}})
	counts := b.queues()
	for i := range counts {
		counts[i].Since = time.Time{}
	}
	if len(counts) != 2 || counts[0] != (store.Count{Queue: greet, Frames: 2, Packets: 2, Bytes: 8}) || counts[1] != (store.Count{Queue: wait, Frames: 1, Packets: 1, Bytes: 10}) {
		b.Errorf("the queues are %+v; expected 2 frames and 1", counts)
	}
	b.showsDelayed(greet, "later", start.Add(delay), time.Now().Add(delay))
	b.ack(b.pullOne(greet, "now"))
	l := b.pullOne(greet, "later")
	if took := time.Since(start); took < delay || took > delay+soon {
		b.Errorf("the frame came after %v; expected %v", took, delay)
	}
	b.deliveries(l, 1)
	if seen := b.lookAll(greet); len(seen) != 1 || seen[0].Number != l.Number() || !seen[0].NotBefore.IsZero() {
		b.Errorf("when its time has come, the frame %d is shown as %+v", l.Number(), seen)
	}
	b.ack(l)
	b.nothing(wait, short)
	if err := b.clear(wait); err != nil {
		b.Error(err)
	}
	b.empty()
}

// Delayed frames come in the order of their times, and wake whoever waits.
func testDelayedOrder(b *bench) {
	step := b.kind.delay() * 3 / 5
	// In a cluster the first pull from a queue takes longer than a step.
	b.append(greet, "warm up")
	b.ack(b.pullOne(greet, "warm up"))
	got := b.pullLater(b.within(long), greet, 1)
	b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "third", 3*step), delayedFrame(greet, "second", 2*step), delayedFrame(greet, "first", step)}})
	p := <-got
	if p.err != nil || string(p.leases[0].Data()) != "first" {
		b.Fatalf("who waited got %d frames, %v; expected the first", len(p.leases), p.err)
	}
	b.ack(p.leases[0], b.pullOne(greet, "second"), b.pullOne(greet, "third"))
	b.empty()
}

// The longest delay is taken, and no longer one.
func testDelayBounds(b *bench) {
	start := time.Now()
	f := frame("x")
	f.After = store.MaxDelay
	if err := b.put(greet, f); err != nil {
		b.Error(err)
	}
	b.showsDelayed(greet, "x", start.Add(f.After), time.Now().Add(f.After))
	for _, after := range []time.Duration{-1, store.MaxDelay + 1} {
		f.After = after
		if err := b.put(greet, f); err == nil {
			b.Errorf("a delay of %v: no error", after)
		}
	}
	if n := b.frames(); n != 1 {
		b.Errorf("%d frames are there; expected 1", n)
	}
}

// A delay goes on when the store is opened again.
func testDelayedReopen(b *bench) {
	delay := b.kind.delay() * 8 / 5
	start := time.Now()
	b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "later", delay), delayedFrame(wait, "much later", time.Hour)}})
	end := time.Now()
	b.open(0, 0)
	b.showsDelayed(wait, "much later", start.Add(time.Hour), end.Add(time.Hour))
	if n := b.frames(); n != 2 {
		b.Errorf("%d frames are there; expected 2", n)
	}
	b.ack(b.pullOne(greet, "later"))
	if took := time.Since(start); took < delay || took > delay+soon {
		b.Errorf("the frame came after %v; expected %v", took, delay)
	}
	b.open(0, 0)
	b.nothing(greet, short)
	b.showsDelayed(wait, "much later", start.Add(time.Hour), end.Add(time.Hour))
}

// A stored time is trusted once: whatever the clock was when a frame was stored,
// and however often the store is opened, the frame waits no longer than its delay.
func testClock(b *bench) {
	const delay, year = time.Hour, 365 * 24 * time.Hour
	now := time.Now()
	at := func(d time.Duration) {
		b.Helper()
		b.openAs(Options{Now: func() time.Time { return now.Add(d) }})
	}
	for _, wrong := range []time.Duration{20 * time.Minute, year} {
		at(wrong)
		b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "later", delay)}})
		for _, d := range []time.Duration{0, 0, delay / 4, delay / 2, delay * 3 / 4} {
			at(d)
			b.showsDelayed(greet, "later", now, now.Add(delay))
			b.nothing(greet, short)
		}
		// It was opened at 0, so it is due now at the latest.
		at(delay - 200*time.Millisecond)
		b.ack(b.pullOne(greet, "later"))
		b.empty()
	}

	// The clock was right, then wrong: far ahead, the frame is due.
	at(0)
	b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "ahead", delay)}})
	at(year)
	b.ack(b.pullOne(greet, "ahead"))

	// Far behind, it waits as long again as was asked for, once.
	at(year)
	b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "behind", delay)}})
	at(0)
	at(delay / 2)
	b.showsDelayed(greet, "behind", now, now.Add(delay))
	at(delay)
	b.ack(b.pullOne(greet, "behind"))

	// The clock was behind: the frame is due.
	at(-year)
	b.commit(&store.Tx{Append: []store.Append{delayedFrame(greet, "was behind", delay)}})
	at(0)
	b.ack(b.pullOne(greet, "was behind"))
	b.empty()
}
