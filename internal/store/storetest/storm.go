package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// An oracle knows of every frame what a store may do with it.
type oracle struct {
	b     *bench
	mu    sync.Mutex
	left  int
	known map[string]*known
}

type known struct {
	queue  store.Queue
	held   bool
	acked  bool
	leased int // how often
}

func (o *oracle) appending(to store.Queue, data string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known[data] = &known{queue: to}
}

// pulled notes a lease, which nobody else may have.
func (o *oracle) pulled(from store.Queue, l store.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data := string(l.Data())
	k := o.known[data]
	switch {
	case k == nil:
		o.b.Errorf("%s holds %s, which nobody appended", from, brief(data))
		return
	case k.queue != from:
		o.b.Errorf("%s was appended to %s and came from %s", data, k.queue, from)
	case k.held:
		o.b.Errorf("%s is leased twice", data)
	case k.acked:
		o.b.Errorf("%s came after it was acknowledged", data)
	}
	k.leased++
	// A delivery to a pull that ended meanwhile may count.
	if l.Deliveries() < k.leased {
		o.b.Errorf("%s has %d deliveries at its lease %d", data, l.Deliveries(), k.leased)
	}
	k.held = true
}

// ended notes that a lease is about to end, and tells whether it is the last
// frame's.
func (o *oracle) ended(l store.Lease, acked bool) (last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.known[string(l.Data())]
	if k == nil {
		return false
	}
	k.held = false
	if !acked || k.acked {
		return false
	}
	k.acked = true
	o.left--
	return o.left == 0
}

// testStorm has many do everything at once: nothing is lost, leased twice, or
// comes after it was acknowledged.
func testStorm(b *bench) {
	const appenders, pullers, each = 4, 6, 150
	queues := []store.Queue{"in.a", "in.b", "wait.String.RAW"}
	o := &oracle{b: b, left: appenders * each, known: map[string]*known{}}
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range appenders {
		all.Go(func() {
			for n := range each {
				to, data := queues[rand.IntN(len(queues))], fmt.Sprintf("%d-%d", i, n)
				o.appending(to, data)
				if err := b.put(to, store.Frame{Data: []byte(data), Packets: 1}); err != nil {
					b.Errorf("append: %v", err)
				}
			}
		})
	}
	end := time.Now().Add(long)
	for i := range pullers {
		all.Go(func() {
			for time.Now().Before(end) && !b.Failed() {
				select {
				case <-done:
					return
				default:
				}
				from := queues[(i+rand.IntN(2))%len(queues)]
				leases, err := b.store.Pull(b.within(short), from, 1+rand.IntN(8))
				if err != nil {
					continue
				}
				for _, l := range leases {
					o.pulled(from, l)
				}
				for _, l := range leases {
					if o.verdict(l) {
						close(done)
					}
				}
			}
		})
	}
	all.Wait()
	if b.Failed() {
		return
	}
	var lost []string
	for data, k := range o.known {
		if !k.acked {
			lost = append(lost, data)
		}
	}
	if len(lost) > 0 {
		b.Fatalf("%d frames did not come to their end: %s", len(lost), brief(lost...))
	}
	b.empty()
}

// verdict ends a lease in one of the ways that there are.
func (o *oracle) verdict(l store.Lease) (last bool) {
	acked := rand.IntN(4) > 0
	last = o.ended(l, acked)
	var err error
	switch {
	case acked && rand.IntN(2) == 0:
		err = l.Ack()
	case acked:
		err = o.b.store.Commit(o.b.Context(), &store.Tx{Ack: []store.Lease{l}})
	default:
		err = l.Release(time.Duration(rand.IntN(3)) * 3 * time.Millisecond)
	}
	if err != nil {
		o.b.Errorf("verdict over %s: %v", l.Data(), err)
	}
	return last
}
