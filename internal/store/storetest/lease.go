package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Frames come in the order of their appends, whatever the pulls' sizes.
func testOrder(b *bench) {
	data := series("order", 200)
	b.append(greet, data...)
	b.append(wait, "elsewhere")
	for i, most := 0, 1; i < len(data); most = most%7 + 1 {
		n := min(most, len(data)-i)
		leases := b.pull(greet, data[i:i+n]...)
		for _, l := range leases {
			b.deliveries(l, 1)
		}
		b.ack(leases...)
		i += n
	}
	b.nothing(greet, short)
	b.pull(wait, "elsewhere")
}

// Numbers go up with the appends and never come again, not even after the
// queue was empty.
func testNumbers(b *bench) {
	var last uint64
	for range 3 {
		b.append(greet, "a", "b", "c")
		leases := b.pull(greet, "a", "b", "c")
		for i, l := range leases {
			if l.Number() <= last {
				b.Fatalf("frame %d has the number %d; expected more than %d", i, l.Number(), last)
			}
			last = l.Number()
		}
		b.ack(leases...)
		b.empty()
		if b.kind.Promise.Kill {
			b.open(0, 0)
		}
	}
}

// A frame is leased to one of many that pull at once.
func testExclusive(b *bench) {
	data := series("exclusive", 300)
	b.append(greet, data...)
	var mu sync.Mutex
	var leases []store.Lease
	var pullers sync.WaitGroup
	for i := range 8 {
		pullers.Go(func() {
			for {
				got, err := b.store.Pull(b.within(time.Second), greet, i+1)
				if err != nil {
					return // there is no more
				}
				mu.Lock()
				leases = append(leases, got...)
				mu.Unlock()
			}
		})
	}
	pullers.Wait()
	var got []string
	for _, l := range leases {
		got = append(got, string(l.Data()))
	}
	slices.Sort(got)
	if !slices.Equal(got, data) {
		b.Fatalf("8 pullers got %d frames, %d different ones; expected each of %d once", len(got), len(slices.Compact(got)), len(data))
	}
	b.ack(leases...)
	b.empty()
}

// A lease lasts for as long as its holder lives.
func testLongLease(b *bench) {
	b.append(greet, "held")
	l := b.pullOne(greet, "held")
	b.nothing(greet, store.MaxLapse+2*time.Second)
	b.ack(l)
	b.empty()
}

// Each lease counts, and the frame keeps its number.
func testDeliveries(b *bench) {
	b.append(greet, "again")
	number := uint64(0)
	for i := 1; i <= 4; i++ {
		l := b.pullOne(greet, "again")
		b.deliveries(l, i)
		if i > 1 && l.Number() != number {
			b.Errorf("delivery %d has the number %d; the one before had %d", i, l.Number(), number)
		}
		number = l.Number()
		b.release(l, 0)
	}
}

// A released frame waits for its delay, and holds no other up.
func testDelay(b *bench) {
	const delay = 500 * time.Millisecond
	b.append(greet, "late", "soon")
	l := b.pullOne(greet, "late")
	start := time.Now()
	b.release(l, delay)
	other := b.pullOne(greet, "soon")
	l = b.pullOne(greet, "late")
	if took := time.Since(start); took < delay || took > delay+soon {
		b.Errorf("the frame came after %v; expected %v", took, delay)
	}
	b.deliveries(l, 2)
	b.ack(l, other)
	b.empty()
}

// Ack ends the frame, and nothing comes of doing so twice.
func testAck(b *bench) {
	b.append(greet, "a", "b", "c")
	leases := b.pull(greet, "a", "b", "c")
	b.ack(leases[1])
	leases[1].Ack() // whether that is an error is the store's affair
	leases[1].Release(0)
	b.release(leases[0], 0)
	b.release(leases[2], 0)
	again := b.pullTwo("a", "c")
	b.nothing(greet, short)
	b.ack(again...)
	b.empty()
	if string(leases[1].Data()) != "b" {
		b.Errorf("the data became %q", leases[1].Data())
	}
}

// pullTwo leases two frames that were released, in any order: when a release
// takes hold is not said.
func (b *bench) pullTwo(x, y string) []store.Lease {
	b.Helper()
	var leases []store.Lease
	var got []string
	for len(leases) < 2 {
		more, err := b.store.Pull(b.within(long), greet, 2)
		if err != nil {
			b.Fatalf("pull after %q: %v", got, err)
		}
		for _, l := range more {
			leases, got = append(leases, l), append(got, string(l.Data()))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{x, y}) {
		b.Fatalf("pulled %q; expected %q and %q", got, x, y)
	}
	return leases
}

// Who released a frame has no say over it any more: it is another's.
func testLate(b *bench) {
	b.append(greet, "handed on")
	first := b.pullOne(greet, "handed on")
	b.release(first, 0)
	second := b.pullOne(greet, "handed on")
	first.Ack()
	first.Release(0)
	b.nothing(greet, short)
	if n := b.frames(); n != 1 {
		b.Fatalf("%d frames are left; expected the one that is leased", n)
	}
	b.release(second, 0)
	third := b.pullOne(greet, "handed on")
	b.deliveries(third, 3)
	b.ack(third)
	b.empty()
}
