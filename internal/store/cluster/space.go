package cluster

import (
	"fmt"
	"sync"

	"github.com/recap/pumpkin/internal/store"
)

// leastReserve is the least that descendants have beyond the size.
const leastReserve = 1 << 30

// space is what frames take, and who may take more. It is counted by the
// cluster at times, and here what this node does in between.
//
// Invariant: used is never less than what the cluster had at the last count
// and this node has appended since.
type space struct {
	size, reserve int64

	mu     sync.Mutex
	used   int64
	moving int64 // bytes of appends under way
	since  int64 // bytes of appends that ended while a count is under way
	moved  bool  // something happened during the last count: used may be too much
}

func newSpace(size, reserve int64) *space {
	s := &space{size: size, reserve: reserve}
	if size > 0 && reserve == 0 {
		s.reserve = max(size/5, leastReserve)
	}
	return s
}

func (s *space) amount() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// doubt has the next who would be refused count first.
func (s *space) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = true
}

// book reserves bytes for frames, so many of them for roots. If they do not fit
// and the count may be wrong, sure is false.
func (s *space) book(roots, all int64) (sure bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size > 0 {
		limit := int64(-1)
		switch {
		case roots > 0 && s.used+roots > s.size:
			limit = s.size
		case s.used+all > s.size+s.reserve:
			limit = s.size + s.reserve
		}
		if limit >= 0 {
			return !s.moved && s.moving == 0, fmt.Errorf("%w: %d bytes of %d are used", store.ErrFull, s.used, limit)
		}
	}
	s.used += all
	s.moving += all
	return true, nil
}

// finished ends what book began. What may have been stored is counted later.
func (s *space) finished(n int64, stored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving -= n
	s.since += n
	if !stored {
		s.moved = true
	}
}

// gone notes that n bytes were acknowledged or removed here.
func (s *space) gone(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = max(s.used-n, 0)
	s.moved = true
}

// begin starts a count, and end takes its result: what was on its way meanwhile
// may be in it or not.
func (s *space) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.moved = 0, false
}

func (s *space) end(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = bytes + s.moving + s.since
	s.moved = s.moved || s.moving+s.since > 0
}
