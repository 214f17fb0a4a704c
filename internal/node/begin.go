package node

import (
	"context"

	"github.com/recap/pumpkin/internal/store"
)

// A beginner is a store that counts the deaths of processes which had begun to
// work on a frame, so that what was only pulled ahead is not blamed for them.
type beginner interface {
	Begin(ctx context.Context, leases []store.Lease) error
}

// deliveredBefore are those frames of a pull from the own store that were delivered
// before; nil for none.
func deliveredBefore(pulled []store.Lease) *leasedBatch {
	var b *leasedBatch
	for _, l := range pulled {
		if l.Deliveries() > 1 {
			if b == nil {
				b = &leasedBatch{}
			}
			b.leases = append(b.leases, l)
		}
	}
	return b
}

// begin tells the store that runs of packets with these units begin. It takes the
// rest of their pulls for begun as well, which are due within milliseconds, so that
// one fsync does for all.
func (s *ownStore) begin(from []*unit) {
	var leases []store.Lease
	for _, u := range from {
		if u != nil && u.frame.batch != nil && !u.frame.batch.told.Swap(true) {
			leases = append(leases, u.frame.batch.leases...)
		}
	}
	if len(leases) == 0 {
		return
	}
	if b, ok := s.store.(beginner); ok {
		if err := b.Begin(s.running, leases); err != nil {
			s.log.Debug("noting that frames which were delivered before run again", "error", err)
		}
	}
}
