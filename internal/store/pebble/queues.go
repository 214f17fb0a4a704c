package pebble

import (
	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// The queues are those that have frames, or pulls that wait.
type queues struct {
	shared
	byName   map[store.Queue]*queue
	firstDue int64         // when the first of the delayed frames is due, or earlier
	due      chan struct{} // has an element when the first is another
}

// queue is the queue of that name, which is made if need be. The caller holds
// the lock, and calls tidy when it may have left the queue empty.
func (s *queues) queue(name store.Queue) *queue {
	q := s.byName[name]
	if q == nil {
		q = newQueue(&s.shared, name)
		s.byName[name] = q
	}
	return q
}

// tidy forgets an empty queue. The caller holds the lock.
func (s *queues) tidy(q *queue) {
	if q.frames == 0 && q.pulls == 0 && !q.reading && !q.changed {
		q.stopTimer()
		delete(s.byName, q.name)
		delete(s.marked, q)
	}
}

// low is a number below which a queue has no frames.
func (s *queues) low(name store.Queue) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.byName[name]; q != nil {
		return q.low
	}
	return 0
}

// begin counts a read, which Close waits for; s.reads.Done ends it.
func (s *queues) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.reads.Add(1)
	return nil
}

// end has every call from now on fail.
func (s *queues) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, q := range s.byName {
		q.end()
	}
}

// expectDue notes when the first delayed frame is due.
func (s *queues) expectDue(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.firstDue = at
}

// delayedUntil notes a frame that is delayed, and wakes the timer if it is the
// first that is due. The caller holds the lock.
func (s *queues) delayedUntil(due int64) {
	if due >= s.firstDue {
		return
	}
	s.firstDue = due
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// fillMarks writes the marks that have changed.
func (s *queues) fillMarks(b *engine.Batch) {
	for q := range s.marked {
		q.noted = true
		// A batch in memory does not fail.
		_ = b.Set(queueKey(keyLeased, q.name), q.leased.value(q.low), nil)
		delete(s.marked, q)
	}
}
