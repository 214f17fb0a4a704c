package storetest

import (
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// What is in a store that is closed is there when it is opened again; what was
// leased is free at once.
func testReopen(b *bench) {
	b.append(greet, "leased", "acked", "fresh", "delayed")
	b.append(wait, "elsewhere")
	leases := b.pull(greet, "leased", "acked")
	b.ack(leases[1])
	before := b.queuesOf(3)
	number := leases[0].Number()
	b.open(0, 0)
	if after := b.queuesOf(3); !slices.EqualFunc(before, after, func(x, y store.Count) bool {
		since := x.Since.Equal(y.Since)
		x.Since, y.Since = time.Time{}, time.Time{}
		return since && x == y
	}) {
		b.Errorf("the queues were %+v and are %+v", before, after)
	}
	if state := b.store.State(); len(state.Damage) > 0 {
		b.Errorf("the store is said to be damaged: %q", state.Damage)
	}
	start := time.Now()
	again := b.pullAll(greet, 3)
	if took := time.Since(start); took > soon {
		b.Errorf("leases that were given back came after %v", took)
	}
	for data, deliveries := range map[string]int{"leased": 2, "fresh": 1, "delayed": 1} {
		l := again[data]
		if l == nil {
			b.Fatalf("%q is lost", data)
		}
		b.deliveries(l, deliveries)
		if data == "leased" && l.Number() != number {
			b.Errorf("the frame's number was %d and is %d", number, l.Number())
		}
	}
	// A delay may be kept or end with the store, but the frame comes.
	b.release(again["delayed"], soon)
	b.ack(again["leased"], again["fresh"])
	b.ack(b.pullOne(wait, "elsewhere"))
	b.open(0, 0)
	b.ack(b.pullOne(greet, "delayed"))
	b.empty()
	b.open(0, 0)
	b.empty()
}

// queuesOf are the queues once they have that many frames in greet: acks are
// not waited for.
func (b *bench) queuesOf(n int) (counts []store.Count) {
	b.Helper()
	b.eventually("the frames that were acknowledged are gone", func() bool {
		counts = b.queues()
		return len(counts) == 2 && counts[0].Frames == n
	})
	return counts
}

// pullAll leases n frames in any order.
func (b *bench) pullAll(from store.Queue, n int) map[string]store.Lease {
	b.Helper()
	all := map[string]store.Lease{}
	for len(all) < n {
		leases, err := b.store.Pull(b.within(long), from, n)
		if err != nil {
			b.Fatalf("pull from %s after %d frames: %v", from, len(all), err)
		}
		for _, l := range leases {
			all[string(l.Data())] = l
		}
	}
	return all
}
