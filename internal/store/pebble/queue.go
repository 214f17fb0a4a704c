package pebble

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A shared is what the queues of one store have in common.
type shared struct {
	memory bool // the store is in memory
	// commit does a transaction of the store, for a lease that is acknowledged by itself.
	commit func(context.Context, *store.Tx) error

	mu     sync.Mutex // for the following, and for each queue
	closed bool
	held   int64           // bytes of fresh frames in memory
	leases uint64          // how many there have been; the last one's id
	marked map[*queue]bool // whose mark is to be written
	toMark chan struct{}   // has an element when one is
	reads  sync.WaitGroup  // reads under way; begun under mu while not closed
}

// mark has what was leased of the queue written down. The caller holds the lock.
func (s *shared) mark(q *queue) {
	if s.memory {
		return
	}
	s.marked[q] = true
	select {
	case s.toMark <- struct{}{}:
	default:
	}
}

// A queue is what this process knows of one queue. All of it is under the
// lock in shared; counts is changed by the writer alone.
//
// Frames are leased in the order of their numbers. The lowest are in memory,
// in the list from first on; if backlog is set, those from backlogFrom to
// backlogTo lie in the engine alone, and all in the list are below them. Of the backlog,
// those that were leased by their numbers are in memory as well, in ahead. One that is
// released waits there until the backlog has been read up to it.
type queue struct {
	shared *shared
	name   store.Queue
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
	pulls   int // that wait, woken ones included: the queue stays while there are any

	changed bool // by the group that is being written
}

// A waiter is a pull that waits; what is sent to it wakes it. It is sent one
// token each time it is taken from its queue's waiters.
type waiter chan struct{}

func newQueue(s *shared, name store.Queue) *queue {
	return &queue{
		shared: s, name: name, inMemory: map[uint64]*frame{}, ahead: map[uint64]*frame{},
		back:  frameHeap{before: func(a, b *frame) bool { return a.number < b.number }},
		later: frameHeap{before: func(a, b *frame) bool { return a.due.Before(b.due) }},
	}
}

// maxHeld is how many bytes of frames may be in memory that nobody has leased:
// what comes beyond that is read when it is to be leased.
const maxHeld = 8 << 20

// appended puts a frame at the end that was just stored.
func (q *queue) appended(f *frame) {
	if q.shared.memory || !q.backlog && q.shared.held+f.size() <= maxHeld {
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
	q.shared.held += f.size()
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
	q.shared.held -= f.size()
}

// drop takes a frame out of memory, whatever it is.
func (q *queue) drop(f *frame) {
	switch {
	case f.fresh:
		q.unfresh(f)
	case f.holder != 0:
		f.holder = 0
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

// gone notes, for those who read the backlog, a frame that is not there any more.
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

// release takes a leased frame back, to be leased again after the delay.
func (q *queue) release(f *frame, after time.Duration) {
	f.holder = 0
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
		q.shared.mark(q)
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
	q.shared.mu.Lock()
	defer q.shared.mu.Unlock()
	if q.shared.closed {
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
