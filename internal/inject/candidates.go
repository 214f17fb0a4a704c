package inject

import (
	"container/heap"
	"time"
)

const (
	// maxSettling bounds the files that wait to be seen unchanged. Where there are
	// more, the folder is read again once these are through.
	maxCandidates = 1 << 16
	// emptyQuiet is how long an empty file must not have changed: most are made
	// before they are written.
	emptyQuiet = time.Minute
	// busyPause is how soon a file is looked at again that was in use, where a
	// file need not be seen unchanged.
	busyPause = 2 * time.Second
)

// The candidates are the files that wait to be seen unchanged, those that are due
// first in front. They are used by one goroutine.
type candidates struct {
	quiet    time.Duration
	timer    *time.Timer // fires when the first of queue is due
	queue    dueQueue
	byName   map[string]*candidate
	added    uint64
	changing int // how many of them are written to
	// more says that files were left out for want of room.
	more bool

	through *time.Timer   // fires when the whole folder is to be looked through
	looked  time.Time     // when it was the last time
	pause   time.Duration // that is left before the next
}

// A candidate is a file as it was seen, and when it is to be looked at again.
type candidate struct {
	seen   stat
	due    time.Time
	number uint64 // of two that are due at the same time, the one that was added first is first
	at     int    // in the queue
	// changing: it was written to, or open for that, when it should have been quiet.
	changing bool
}

func newCandidates(quiet time.Duration) *candidates {
	stopped := func() *time.Timer {
		timer := time.NewTimer(time.Hour)
		timer.Stop()
		return timer
	}
	return &candidates{quiet: quiet, timer: stopped(), through: stopped(), byName: make(map[string]*candidate)}
}

// add makes the file, as it was just seen, a candidate. One that is a candidate
// keeps its time unless it has changed. It tells whether there was room.
func (s *candidates) add(seen stat) bool {
	wait := s.quiet
	if seen.size == 0 {
		wait = max(wait, emptyQuiet)
	}
	return s.put(seen, wait)
}

// again makes a file that is in use a candidate.
func (s *candidates) again(seen stat) bool {
	wait := s.quiet
	if wait == 0 {
		wait = busyPause
	}
	room := s.put(seen, wait)
	s.changes(seen.name)
	return room
}

// changes notes that a candidate is written to.
func (s *candidates) changes(name string) {
	if c := s.byName[name]; c != nil && !c.changing {
		c.changing = true
		s.changing++
	}
}

func (s *candidates) put(seen stat, wait time.Duration) bool {
	due := time.Now().Add(wait)
	switch c := s.byName[seen.name]; {
	case c != nil && c.seen == seen:
		return true
	case c != nil:
		c.seen, c.due = seen, due
		heap.Fix(&s.queue, c.at)
	case len(s.queue) >= maxCandidates:
		s.more = true
		return false
	default:
		s.added++
		c = &candidate{seen: seen, due: due, number: s.added}
		s.byName[seen.name] = c
		heap.Push(&s.queue, c)
	}
	s.set()
	return true
}

// next takes out the first candidate if it is due.
func (s *candidates) next() (seen stat, ok bool) {
	defer s.set()
	if !s.isDue() {
		return stat{}, false
	}
	c := heap.Pop(&s.queue).(*candidate)
	delete(s.byName, c.seen.name)
	if c.changing {
		s.changing--
	}
	return c.seen, true
}

// isDue tells whether the first candidate is.
func (s *candidates) isDue() bool { return len(s.queue) > 0 && time.Until(s.queue[0].due) <= 0 }

// back puts a candidate that was taken out in front again.
func (s *candidates) back(seen stat) {
	c := &candidate{seen: seen} // due since ever
	s.byName[seen.name] = c
	heap.Push(&s.queue, c)
	s.set()
}

// set sets the timer for the first candidate.
func (s *candidates) set() {
	if len(s.queue) > 0 {
		s.timer.Reset(time.Until(s.queue[0].due))
	} else {
		s.timer.Stop()
	}
}

// A dueQueue is a heap of candidates.
type dueQueue []*candidate

func (q dueQueue) Len() int { return len(q) }

func (q dueQueue) Less(i, j int) bool {
	if c := q[i].due.Compare(q[j].due); c != 0 {
		return c < 0
	}
	return q[i].number < q[j].number
}

func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *dueQueue) Push(c any) {
	c.(*candidate).at = len(*q)
	*q = append(*q, c.(*candidate))
}

func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return c
}
