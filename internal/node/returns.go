package node

import (
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// releaseDelay is how long a frame that had to be given up is not leased.
const releaseDelay = time.Second

// A delivery names a frame that this node gave back.
type delivery struct {
	from   *peer // nil is the own store
	at     store.Queue
	number uint64
}

// giveBack ends a lease without a verdict on its frame, and notes that: the
// next delivery comes of this, not of a node's death.
func (s *ownStore) giveBack(from *peer, at store.Queue, lease store.Lease, after time.Duration) error {
	s.noteReturn(from, at, lease)
	return lease.Release(after)
}

// noteReturn notes that a frame comes again, and not because of a node's death.
func (s *ownStore) noteReturn(from *peer, at store.Queue, lease store.Lease) {
	count, _ := s.givenBack.LoadOrStore(delivery{from, at, lease.Number()}, new(atomic.Int64))
	count.(*atomic.Int64).Add(1)
}

// deaths is how many deliveries of a frame in the own store, this one apart, have
// ended without a verdict although nobody gave it back. A peer counts for itself.
func (s *ownStore) deaths(at store.Queue, lease store.Lease) int {
	back := 0
	if count, ok := s.givenBack.Load(delivery{nil, at, lease.Number()}); ok {
		back = int(count.(*atomic.Int64).Load())
	}
	return max(lease.Deliveries()-1-back, 0)
}
