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
	// lookFree is how old what is known of the disk may be.
	lookFree = 100 * time.Millisecond
)

// room counts what frames take and says who may take more.
type room struct {
	size, reserve int64
	beside        func() int64
	free          func() (free, total int64, err error) // nil where there is no disk
	used          atomic.Int64

	mu     sync.Mutex
	looked time.Time
	full   error // what the last look at the disk said
}

func newRoom(size, reserve int64, beside func() int64, free func() (int64, int64, error), memory bool) *room {
	r := &room{size: size, reserve: reserve, beside: beside, free: free}
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

func (r *room) amount() int64 { return r.used.Load() + r.beside() }

// has says whether n more bytes fit for frames of this rank.
func (r *room) has(n int64, rank store.Rank) error {
	limit := r.size
	if rank == store.Descendant {
		limit += r.reserve
	}
	if used := r.amount(); r.size > 0 && used+n > limit {
		return fmt.Errorf("%w: %d bytes of %d are used", store.ErrFull, used, limit)
	}
	return nil
}

// low is an error when the disk has less free than is always left of it.
func (r *room) low() error {
	if r.free == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < lookFree {
		return r.full
	}
	r.looked = time.Now()
	free, total, err := r.free()
	floor := min(leastFree, total/16)
	switch {
	case err != nil:
		r.full = nil // a commit will show whether the disk works
	case free < floor:
		r.full = fmt.Errorf("%w: the disk has %d MiB free, and %d MiB are always left; make room on it", store.ErrFull, free>>20, floor>>20)
	default:
		r.full = nil
	}
	return r.full
}
