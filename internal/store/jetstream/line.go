package jetstream

import (
	"container/heap"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A line is the order in which the frames of one place are leased, and what is
// leased and done with. Nobody but this process leases what lies in its folder,
// so the server keeps frames and is not asked who has them: it has no consumers.
// All of it is guarded by the store's lock.
//
// Invariant: a frame of the stream is at or above next, or held, or in back, or
// done; only one of them.
type line struct {
	s  *Store
	at store.Place
	// epoch counts how often the place was cleared: what was begun before does not
	// fit any more.
	epoch int

	// next is the lowest number that was never leased, last the highest that is
	// known to be stored; numbers between may have no frame.
	next, last uint64
	appends    int // how many were noted
	// fresh are frames that were just appended, so that nobody has to read them:
	// the server does not let anyone read while it waits for the disk.
	fresh      map[uint64][]byte
	freshBytes int
	wanted     time.Time // when somebody pulled last
	reading    bool      // a pull reads from next on
	held       map[uint64]*lease
	back       returns
	timer      *time.Timer // for the first of back

	// waiters are pulls that wait, and pulls counts them and those at work.
	// Invariant: if there is something to take, then no pull waits, or one of
	// them was woken and comes for it.
	waiters []chan struct{}
	pulls   int

	ending
}

const (
	// maxFresh is how many bytes of just appended frames a place keeps.
	maxFresh = 2 << 20
	// freshTime is how long after a pull frames are kept for the next.
	freshTime = time.Second
)

// line is the one of the place. The lock is held.
func (s *Store) line(at store.Place) *line {
	l := s.lines[at]
	if l == nil {
		l = &line{s: s, at: at, next: 1}
		s.lines[at] = l
	}
	return l
}

// stored notes that the server has a frame with this number.
func (l *line) stored(number uint64, data []byte) {
	l.last = max(l.last, number)
	l.appends++
	if number >= l.next && l.freshBytes+len(data) <= maxFresh && (l.pulls > 0 || time.Since(l.wanted) < freshTime) {
		if l.fresh == nil {
			l.fresh = map[uint64][]byte{}
		}
		l.fresh[number] = slices.Clone(data)
		l.freshBytes += len(data)
	}
	l.wake()
}

// found notes what a server that starts has of the place.
func (l *line) found(first, last uint64) {
	l.last = last
	l.next = min(max(l.next, first), last+1)
	l.floor = 0
	clear(l.gone)
}

// forget is for a place that is no more: the next one's numbers may begin anew.
func (l *line) forget() {
	for _, lease := range l.held {
		lease.over = true
	}
	for number := range l.done {
		l.removed(number)
	}
	l.stop()
	// Pulls that wait stay, and an append that is under way finds out. What the line
	// is of never changes: it is read without the lock.
	l.epoch++
	l.next, l.last, l.floor = 1, 0, 0
	l.freshBytes, l.back, l.timer = 0, nil, nil
	clear(l.fresh)
	clear(l.held)
	clear(l.done)
	clear(l.gone)
	if l.pulls == 0 && !l.busy {
		delete(l.s.lines, l.at)
	}
}

// stop ends the timer.
func (l *line) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// take leases up to most frames that need not be read.
func (l *line) take(most int) (leases []store.Lease) {
	for len(leases) < most {
		data, ok := l.fresh[l.next]
		if !ok {
			return leases
		}
		leases = append(leases, l.lease(l.next, data))
	}
	return leases
}

// lease hands a frame out.
func (l *line) lease(number uint64, data []byte) *lease {
	l.unfresh(number)
	l.next = max(l.next, number+1)
	given := &lease{line: l, number: number, data: data, deliveries: l.s.tally.lease(key{l.at, number})}
	if l.held == nil {
		l.held = map[uint64]*lease{}
	}
	l.held[number] = given
	return given
}

// unfresh lets go of the data of a frame.
func (l *line) unfresh(number uint64) {
	if data, ok := l.fresh[number]; ok {
		l.freshBytes -= len(data)
		delete(l.fresh, number)
	}
}

// release takes a frame back that may be leased again after the delay.
func (l *line) release(number uint64, after time.Duration) {
	r := returned{number: number}
	if after > 0 {
		r.due = time.Now().Add(after)
	}
	heap.Push(&l.back, r)
	l.wake()
}

// due takes up to most of those that were given back and are to come again.
func (l *line) due(most int) (numbers []uint64) {
	for now := time.Now(); len(numbers) < most && len(l.back) > 0 && !l.back[0].due.After(now); {
		numbers = append(numbers, heap.Pop(&l.back).(returned).number)
	}
	return numbers
}

// wake wakes who has waited longest if there is something to take.
func (l *line) wake() {
	if len(l.waiters) == 0 {
		return
	}
	ready := l.next <= l.last && (!l.reading || l.fresh[l.next] != nil)
	if !ready && len(l.back) > 0 {
		wait := time.Until(l.back[0].due)
		switch ready = wait <= 0; {
		case ready:
		case l.timer == nil:
			l.timer = time.AfterFunc(wait, l.ring)
		default:
			l.timer.Reset(wait)
		}
	}
	if ready {
		close(l.waiters[0])
		l.waiters = slices.Delete(l.waiters, 0, 1)
	}
}

// ring is called when a frame is due.
func (l *line) ring() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.wake()
}

// leave takes a pull off those that wait, if it is there.
func (l *line) leave(w chan struct{}) {
	if i := slices.Index(l.waiters, w); i >= 0 {
		l.waiters = slices.Delete(l.waiters, i, i+1)
	}
}

// A returned frame was given back.
type returned struct {
	number uint64
	due    time.Time // zero is at once
}

// returns is a heap of them: what is due first comes first, and of those that
// are due at once the oldest.
type returns []returned

func (r returns) Len() int { return len(r) }
func (r returns) Less(i, j int) bool {
	if !r[i].due.Equal(r[j].due) {
		return r[i].due.Before(r[j].due)
	}
	return r[i].number < r[j].number
}
func (r returns) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r *returns) Push(x any)   { *r = append(*r, x.(returned)) }

func (r *returns) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
