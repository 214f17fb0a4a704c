package store

import "time"

// A Lease is one frame that its holder alone works on. The store renews it for
// as long as the process lives and it was neither acknowledged nor released;
// when the process dies, the frame is free again within [MaxLapse]. It is safe
// for concurrent use.
type Lease interface {
	// Data is the frame. Nobody changes it after the pull, nor may the holder:
	// it may be the store's only copy. It stays valid when the lease ends.
	Data() []byte
	// Number is the frame's number in its queue: unique there, for ever, and
	// in the order of the appends.
	Number() uint64
	// Deliveries counts how often the frame was leased, this time included. Of
	// leases by processes that have died a store may count only those whose
	// holders had begun to work on the frame, and one more for all others.
	Deliveries() int
	// Ack ends the lease and the frame, as a transaction of its own. It does
	// not wait for the disk: after a crash the frame may come again.
	Ack() error
	// Release gives the frame back. It can be leased again after the delay.
	// It does nothing to a lease that has ended.
	Release(after time.Duration) error
}

// MaxLapse is how long after its holder's death a frame can be leased again.
const MaxLapse = 10 * time.Second
