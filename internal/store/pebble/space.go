package pebble

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// leastReserve is the least that descendants have beyond the size on a disk.
	leastReserve = 1 << 30
	// leastFree is what is left of a disk, unless a sixteenth of it is less.
	leastFree = 256 << 20
	// freeAge is how old what is known of the disk may be.
	freeAge = 100 * time.Millisecond
)

// space counts what frames take and says who may take more.
type space struct {
	size, reserve int64
	beside        func() int64
	free          func() (free, total int64, err error) // nil where there is no disk
	used          atomic.Int64

	mu    sync.Mutex
	asked time.Time
	full  error // what the disk said then
}

func newSpace(size, reserve int64, beside func() int64, free func() (int64, int64, error), memory bool) *space {
	r := &space{size: size, reserve: reserve, beside: beside, free: free}
	if size > 0 && reserve == 0 {
		r.reserve = size / 5
		if !memory {
			r.reserve = max(r.reserve, leastReserve)
		}
	}
	if beside == nil {
		r.beside = func() int64 { return 0 }
	}
	return r
}

func (s *space) amount() int64 { return s.used.Load() + s.beside() }

// has says whether n more bytes fit for frames of this rank.
func (s *space) has(n int64, rank store.Rank) error {
	limit := s.size
	if rank == store.Descendant {
		limit += s.reserve
	}
	if used := s.amount(); s.size > 0 && used+n > limit {
		return fmt.Errorf("%w: %d bytes of %d are used", store.ErrFull, used, limit)
	}
	return nil
}

// low is an error when the disk has less free than is always left of it.
func (s *space) low() error {
	if s.free == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.asked) < freeAge {
		return s.full
	}
	s.asked = time.Now()
	free, total, err := s.free()
	floor := min(leastFree, total/16)
	switch {
	case err != nil:
		s.full = nil // a commit will show whether the disk works
	case free < floor:
		s.full = fmt.Errorf("%w: the disk has %d MiB free, and %d MiB are always left; make room on it", store.ErrFull, free>>20, floor>>20)
	default:
		s.full = nil
	}
	return s.full
}
