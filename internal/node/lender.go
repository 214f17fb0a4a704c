package node

import (
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/packet"
)

// A lender lends frames of the own store to peers.
type lender struct {
	*sorter
	noted  chan struct{} // has an element when a note of a lease is to be written out
	lapsed atomic.Int64  // leases that peers have lost: they were silent for too long, or died
	// known is closed when it is known what was leased before the node started.
	known chan struct{}

	mu     sync.Mutex
	to     map[packet.ID]*lent // by boot of the peer
	starts int                 // of peers that were met so far
	ended  bool
}

func newLender(s *sorter) *lender {
	return &lender{sorter: s, noted: make(chan struct{}, 1), known: make(chan struct{}), to: map[packet.ID]*lent{}}
}

// Lapsed counts the leases that peers have lost because they were gone.
func (l *lender) Lapsed() int64 { return l.lapsed.Load() }
