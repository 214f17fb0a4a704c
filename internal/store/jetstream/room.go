package jetstream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// leastReserve is the least that descendants have beyond the size.
	leastReserve = 1 << 30
	// leastFree is what is left of a disk, unless a sixteenth of it is less.
	leastFree = 256 << 20
	// lookFree is how old what is known of the disk may be.
	lookFree = 100 * time.Millisecond
)

// room counts what frames take and says who may take more.
type room struct {
	size, reserve int64
	free          func() (free, total int64, err error) // nil in memory
	used          atomic.Int64
	doubt         atomic.Bool // used may be wrong: count again

	mu     sync.Mutex
	looked time.Time
	full   error // what the last look at the disk said
}

func newRoom(size, reserve int64, free func() (int64, int64, error), memory bool) *room {
	r := &room{size: size, reserve: reserve, free: free}
	if size > 0 && reserve == 0 {
		r.reserve = max(size/5, leastReserve)
	}
	if memory {
		r.free = nil
	}
	return r
}

// take reserves n bytes for a frame of this rank, or says that there is no
// room.
func (r *room) take(n int64, rank store.Rank) error {
	limit := r.size
	if rank == store.Descendant {
		limit += r.reserve
	}
	if used := r.used.Add(n); r.size > 0 && used > limit {
		r.used.Add(-n)
		return fmt.Errorf("%w: %d bytes of %d are used", store.ErrFull, used-n, limit)
	}
	if err := r.low(); err != nil {
		r.used.Add(-n)
		return err
	}
	return nil
}

// give returns what a frame took.
func (r *room) give(n int64) { r.used.Add(-n) }

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
		r.full = nil // an append will tell whether the disk works
	case free < floor:
		r.full = fmt.Errorf("%w: the disk has %d MiB free, and %d MiB are always left; make room on it", store.ErrFull, free>>20, floor>>20)
	default:
		r.full = nil
	}
	return r.full
}
