package memory

import (
	"container/heap"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A frame is one of a place's. It is in its place's list until it is dropped;
// where else says which of these it is:
//
//	fresh    it was never leased, and so were none after it
//	leased   holder is the lease
//	back     it was released: it is in the place's heap back
//	delayed  it is in the place's heap delayed until it is due
type frame struct {
	number  uint64
	data    []byte
	packets int
	since   time.Time

	prev, next *frame
	deliveries int
	fresh      bool
	holder     *lease
	in         *queue // one of the place's heaps, or nil
	at         int    // where in it
	due        time.Time
}

// A place holds frames, in the order of their numbers. All of it is under the
// store's lock.
//
// Invariant: every frame in back has a lower number than the fresh ones, since
// frames are leased in order; so they go first.
type place struct {
	store *Store
	name  store.Place

	frames      map[uint64]*frame
	first, last *frame
	fresh       *frame // the first of those that were never leased
	unleased    int    // how many are fresh or in back
	packets     int
	bytes       int64

	back    queue // by number
	delayed queue // by due
	timer   *time.Timer

	// Invariant: if there are waiters and something for them to take, then
	// one that was here has been woken and comes for it.
	waiters []waiter
	pulls   int // that wait, woken ones included: they keep the place
}

// A waiter is a pull that waits; what is sent to it wakes it. It is sent one
// token each time it is taken from its place's waiters.
type waiter chan struct{}

func newPlace(s *Store, name store.Place) *place {
	return &place{
		store: s, name: name, frames: map[uint64]*frame{},
		back:    queue{before: func(a, b *frame) bool { return a.number < b.number }},
		delayed: queue{before: func(a, b *frame) bool { return a.due.Before(b.due) }},
	}
}

// add puts a fresh frame at the end.
func (p *place) add(f *frame) {
	f.fresh = true
	f.prev = p.last
	if p.last != nil {
		p.last.next = f
	} else {
		p.first = f
	}
	p.last = f
	if p.fresh == nil {
		p.fresh = f
	}
	p.frames[f.number] = f
	p.unleased++
	p.packets += f.packets
	p.bytes += int64(len(f.data))
}

// drop takes a frame out, whatever it is.
func (p *place) drop(f *frame) {
	switch {
	case f.fresh:
		if p.fresh == f {
			p.fresh = f.next
		}
		p.unleased--
	case f.holder != nil:
		f.holder = nil
	default:
		if f.in == &p.back {
			p.unleased--
		}
		heap.Remove(f.in, f.at)
	}
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		p.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		p.last = f.prev
	}
	f.prev, f.next = nil, nil // who holds on to f holds no other
	delete(p.frames, f.number)
	p.packets -= f.packets
	p.bytes -= int64(len(f.data))
}

// take leases up to most frames.
func (p *place) take(most int) []store.Lease {
	most = min(most, p.unleased)
	if most == 0 {
		return nil
	}
	leases := make([]store.Lease, most)
	for i := range leases {
		f := p.fresh
		if p.back.Len() > 0 {
			f = heap.Pop(&p.back).(*frame)
		} else {
			f.fresh = false
			p.fresh = f.next
		}
		f.deliveries++
		// Not all of them in one array: one would keep the data of all.
		f.holder = &lease{place: p, frame: f, deliveries: f.deliveries}
		leases[i] = f.holder
	}
	p.unleased -= most
	return leases
}

// release takes a leased frame back, to be leased again after the delay.
func (p *place) release(f *frame, after time.Duration) {
	f.holder = nil
	if after <= 0 {
		p.free(f)
		return
	}
	f.due = time.Now().Add(after)
	heap.Push(&p.delayed, f)
	if f.at == 0 {
		p.setTimer()
	}
}

// free lets a frame that is nowhere be leased.
func (p *place) free(f *frame) {
	heap.Push(&p.back, f)
	p.unleased++
	p.wake()
}

// setTimer sees to it that delayed frames are freed when they are due.
func (p *place) setTimer() {
	if p.delayed.Len() == 0 {
		return
	}
	after := time.Until(p.delayed.list[0].due)
	if p.timer == nil {
		p.timer = time.AfterFunc(after, p.freeDue)
		return
	}
	p.timer.Reset(after)
}

func (p *place) freeDue() {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if p.store.closed {
		return
	}
	now := time.Now()
	for p.delayed.Len() > 0 && !p.delayed.list[0].due.After(now) {
		p.free(heap.Pop(&p.delayed).(*frame))
	}
	p.setTimer()
}

func (p *place) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// wake wakes who has waited longest if there is something to take.
func (p *place) wake() {
	if p.unleased > 0 && len(p.waiters) > 0 {
		w := p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
		w <- struct{}{}
	}
}

// leave takes a waiter out, if it is there.
func (p *place) leave(w waiter) {
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
	}
}

func (p *place) count() store.Count {
	return store.Count{Place: p.name, Frames: len(p.frames), Packets: p.packets, Bytes: p.bytes, Since: p.first.since}
}

// all are the frames, oldest first.
func (p *place) all() []*frame {
	all := make([]*frame, 0, len(p.frames))
	for f := p.first; f != nil; f = f.next {
		all = append(all, f)
	}
	return all
}

// A queue is a heap of frames that knows where each of them is.
type queue struct {
	list   []*frame
	before func(a, b *frame) bool
}

func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.before(q.list[i], q.list[j]) }

func (q *queue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].at, q.list[j].at = i, j
}

func (q *queue) Push(x any) {
	f := x.(*frame)
	f.in, f.at = q, len(q.list)
	q.list = append(q.list, f)
}

func (q *queue) Pop() any {
	last := len(q.list) - 1
	f := q.list[last]
	q.list[last] = nil
	q.list = q.list[:last]
	f.in = nil
	return f
}
