package pebble

import (
	"container/heap"
	"fmt"

	"github.com/recap/pumpkin/internal/store"
)

// Take leases these frames, wherever they are in their queues, in this order; nil
// stands for one that is not there, or that somebody has leased.
func (s *Store) Take(frames []store.Ref) ([]store.Lease, error) {
	leases := make([]store.Lease, len(frames))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range frames {
		l, err := s.takeOne(f)
		if err != nil {
			return nil, fmt.Errorf("lease frame %d of %s: %w", f.Number, f.At, err)
		}
		if l != nil {
			leases[i] = l
		}
	}
	return leases, nil
}

// takeOne leases one frame; nil if it cannot be. The caller holds the lock, which is
// given up while frames are read.
func (s *Store) takeOne(f store.Ref) (*lease, error) {
	q := s.queues[f.At]
	if q == nil {
		return nil, nil
	}
	q.pulls++ // it keeps the queue
	defer func() {
		q.pulls--
		q.wake()
		s.tidy(q)
	}()
	for q.backlog && q.backlogFrom <= f.Number && !q.reading && !s.closed {
		if err := s.readBacklog(q, 1); err != nil {
			return nil, err
		}
	}
	if s.closed {
		return nil, store.ErrClosed
	}
	return q.takeFrame(q.inMemory[f.Number]), nil
}

// takeFrame leases a frame that is in memory.
func (q *queue) takeFrame(f *frame) *lease {
	if f == nil || f.holder != nil {
		return nil
	}
	// Those before it count as if they had been leased and released: none after a
	// fresh one ever was.
	for f.fresh {
		first := q.fresh
		first.fresh = false
		q.fresh = first.next
		q.store.held -= first.size()
		heap.Push(&q.back, first)
	}
	if f.in == &q.back {
		q.free--
	}
	heap.Remove(f.in, f.at)
	return q.lease(f)
}
