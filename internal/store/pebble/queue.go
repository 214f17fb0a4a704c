package pebble

import (
	"container/heap"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A frame that is held in memory: one that was appended last, or was read to be
// leased, or is leased. It is in its queue's list, or in ahead, until it is gone; where
// else says which of these it is:
//
//	fresh    it was never leased
//	leased   holder is the lease
//	back     it was released: it is in the queue's heap back
//	resting  it was released with a delay: it is in the heap later until it is due
type frame struct {
	number  uint64
	data    []byte
	packets int
	since   int64 // ns since 1970
	blobs   []packet.Sum

	prev, next *frame
	deliveries int
	begun      bool // see Begin
	fresh      bool
	holder     *lease
	in         *frameHeap // one of the queue's heaps, or nil
	at         int        // where in it
	due        time.Time
}

func (f *frame) size() int64 { return int64(len(f.data)) + overhead }

// A queue is what this process knows of one queue. All of it is under the
// store's lock; counts is changed by the writer alone.
//
// Frames are leased in the order of their numbers. The lowest are in memory,
// in the list from first on; if backlog is set, those from backlogFrom to
// backlogTo lie in the engine alone, and all in the list are below them. Of the backlog,
// those that were leased by their numbers are in memory as well, in ahead. One that is
// released waits there until the backlog has been read up to it.
type queue struct {
	store *Store
	name  store.Queue
	counts

	first, last *frame
	inMemory    map[uint64]*frame
	fresh       *frame // the first in the list of those that were never leased
	free        int    // how many are fresh or in back

	backlog                bool
	backlogFrom, backlogTo uint64
	reading                bool // a pull reads the backlog
	ahead                  map[uint64]*frame

	readers  int             // that read frames of the backlog
	readFrom uint64          // the lowest number of those
	removed  map[uint64]bool // of those, meanwhile

	leased leased
	noted  bool // something of that is stored

	back  frameHeap // by number
	later frameHeap // by due
	timer *time.Timer

	// Invariant: if there are waiters and something for them to take, then
	// one that was here has been woken and comes for it.
	waiters []waiter
	pulls   int // that wait, woken ones included: they keep the queue

	changed bool // by the group that is being written
}

// A waiter is a pull that waits; what is sent to it wakes it. It is sent one
// token each time it is taken from its queue's waiters.
type waiter chan struct{}

func newQueue(s *Store, name store.Queue) *queue {
	return &queue{
		store: s, name: name, inMemory: map[uint64]*frame{}, ahead: map[uint64]*frame{},
		back:  frameHeap{before: func(a, b *frame) bool { return a.number < b.number }},
		later: frameHeap{before: func(a, b *frame) bool { return a.due.Before(b.due) }},
	}
}

// queue is the queue of that name, which is made if need be. The caller holds
// the lock, and calls tidy when it may have left the queue empty.
func (s *Store) queue(name store.Queue) *queue {
	q := s.queues[name]
	if q == nil {
		q = newQueue(s, name)
		s.queues[name] = q
	}
	return q
}

// tidy forgets an empty queue. The caller holds the lock.
func (s *Store) tidy(q *queue) {
	if q.frames == 0 && q.pulls == 0 && !q.reading && !q.changed {
		q.stopTimer()
		delete(s.queues, q.name)
		delete(s.marked, q)
	}
}

// maxHeld is how many bytes of frames may be in memory that nobody has leased:
// what comes beyond that is read when it is to be leased.
const maxHeld = 8 << 20

// appended puts a frame at the end that was just stored.
func (q *queue) appended(f *frame) {
	if q.store.memory() || !q.backlog && q.store.held+f.size() <= maxHeld {
		q.add(f)
		return
	}
	if !q.backlog {
		q.backlog, q.backlogFrom = true, f.number
	}
	q.backlogTo = f.number
}

// add puts a fresh frame at the end of what is in memory.
func (q *queue) add(f *frame) {
	f.deliveries = q.leased.before(f.number)
	f.fresh = true
	q.link(f)
	if q.fresh == nil {
		q.fresh = f
	}
	q.free++
	q.store.held += f.size()
}

// link puts a frame at the end of the list.
func (q *queue) link(f *frame) {
	f.prev = q.last
	if q.last != nil {
		q.last.next = f
	} else {
		q.first = f
	}
	q.last = f
	q.inMemory[f.number] = f
}

// unfresh takes a fresh frame out of those, and not out of the list.
func (q *queue) unfresh(f *frame) {
	f.fresh = false
	for q.fresh != nil && !q.fresh.fresh {
		q.fresh = q.fresh.next
	}
	q.free--
	q.store.held -= f.size()
}

// drop takes a frame out of memory, whatever it is.
func (q *queue) drop(f *frame) {
	switch {
	case f.fresh:
		q.unfresh(f)
	case f.holder != nil:
		f.holder = nil
	default:
		q.unheap(f)
	}
	if q.ahead[f.number] != nil {
		delete(q.ahead, f.number)
	} else {
		q.unlink(f)
	}
	q.gone(f.number)
	delete(q.inMemory, f.number)
	delete(q.leased.deaths, f.number)
}

// unheap takes a released frame out of the heap that it is in; in ahead it is in none
// when its delay is over.
func (q *queue) unheap(f *frame) {
	if f.in == &q.back {
		q.free--
	}
	if f.in != nil {
		heap.Remove(f.in, f.at)
	}
}

// unlink takes a frame out of the list.
func (q *queue) unlink(f *frame) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		q.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		q.last = f.prev
	}
	f.prev, f.next = nil, nil // who holds on to f holds no other
}

// gone tells those who read the backlog of a frame that is not there any more.
func (q *queue) gone(number uint64) {
	if q.readers == 0 || number < q.readFrom {
		return
	}
	if q.removed == nil {
		q.removed = map[uint64]bool{}
	}
	q.removed[number] = true
}

// lowest is a number below which the queue has no frames; next is that of the
// first frame which is not known to the queue yet.
func (q *queue) lowest(next uint64) uint64 {
	switch {
	case q.first != nil:
		return q.first.number
	case q.backlog:
		return q.backlogFrom
	}
	return next
}

// take leases up to most frames.
func (q *queue) take(most int) []store.Lease {
	most = min(most, q.free)
	if most == 0 {
		return nil
	}
	leases := make([]store.Lease, most)
	for i := range leases {
		f := q.fresh
		if q.back.Len() > 0 && (f == nil || q.back.list[0].number < f.number) {
			f = q.back.list[0]
		}
		leases[i] = q.takeFrame(f)
	}
	return leases
}

// takeFrame leases a frame that is in memory; nil if somebody has.
func (q *queue) takeFrame(f *frame) *lease {
	switch {
	case f.holder != nil:
		return nil
	case f.fresh:
		q.unfresh(f)
	default:
		q.unheap(f)
	}
	return q.lease(f)
}

// lease leases a frame that was taken out of where it was.
func (q *queue) lease(f *frame) *lease {
	f.deliveries++
	if f.number > q.leased.mark {
		q.leased.mark = f.number
		q.store.mark(q)
	}
	// Not all of them in one array: one would keep the data of all.
	f.holder = &lease{queue: q, frame: f, deliveries: f.deliveries}
	return f.holder
}

// release takes a leased frame back, to be leased again after the delay.
func (q *queue) release(f *frame, after time.Duration) {
	f.holder = nil
	q.unbegin(f)
	if after <= 0 {
		q.setFree(f)
		return
	}
	f.due = time.Now().Add(after)
	heap.Push(&q.later, f)
	if f.at == 0 {
		q.setTimer()
	}
}

// unbegin takes back what Begin noted: the frame is given back.
func (q *queue) unbegin(f *frame) {
	if f.begun {
		f.begun = false
		q.leased.count(f.number, -1)
		q.store.mark(q)
	}
}

// setFree lets a frame that is nowhere be leased, one that is ahead in its turn.
func (q *queue) setFree(f *frame) {
	if q.ahead[f.number] != nil {
		return
	}
	heap.Push(&q.back, f)
	q.free++
	q.wake()
}

// setTimer sees to it that released frames are free when they are due.
func (q *queue) setTimer() {
	if q.later.Len() == 0 {
		return
	}
	wait := time.Until(q.later.list[0].due)
	if q.timer == nil {
		q.timer = time.AfterFunc(wait, q.freeDue)
		return
	}
	q.timer.Reset(wait)
}

func (q *queue) freeDue() {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.store.closed {
		return
	}
	now := time.Now()
	for q.later.Len() > 0 && !q.later.list[0].due.After(now) {
		q.setFree(heap.Pop(&q.later).(*frame))
	}
	q.setTimer()
}

func (q *queue) stopTimer() {
	if q.timer != nil {
		q.timer.Stop()
	}
}

// wake wakes who has waited longest if there is something to take.
func (q *queue) wake() {
	if (q.free > 0 || q.backlog && !q.reading) && len(q.waiters) > 0 {
		w := q.waiters[0]
		q.waiters = slices.Delete(q.waiters, 0, 1)
		w <- struct{}{}
	}
}

// leave takes a waiter out, if it is there.
func (q *queue) leave(w waiter) {
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
}

// end wakes all who wait: the store has ended.
func (q *queue) end() {
	q.stopTimer()
	for _, w := range q.waiters {
		w <- struct{}{}
	}
	q.waiters = nil
}

// A frameHeap is a heap of frames that knows where each of them is.
type frameHeap struct {
	list   []*frame
	before func(a, b *frame) bool
}

func (h *frameHeap) Len() int           { return len(h.list) }
func (h *frameHeap) Less(i, j int) bool { return h.before(h.list[i], h.list[j]) }

func (h *frameHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].at, h.list[j].at = i, j
}

func (h *frameHeap) Push(x any) {
	f := x.(*frame)
	f.in, f.at = h, len(h.list)
	h.list = append(h.list, f)
}

func (h *frameHeap) Pop() any {
	last := len(h.list) - 1
	f := h.list[last]
	h.list[last] = nil
	h.list = h.list[:last]
	f.in = nil
	return f
}
