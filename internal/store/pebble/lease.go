package pebble

import (
	"context"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A lease is held while its frame's holder is this lease. Nothing has to renew
// it: who could hold it after the process died?
type lease struct {
	queue      *queue
	frame      *frame
	deliveries int
	ending     bool // the writer is acknowledging it; under the store's lock
}

// Data is the frame; see [store.Lease].
func (l *lease) Data() []byte { return l.frame.data }

// Number is the frame's number.
func (l *lease) Number() uint64 { return l.frame.number }

// Deliveries counts how often the frame was leased.
func (l *lease) Deliveries() int { return l.deliveries }

// Ack ends the lease and the frame.
func (l *lease) Ack() error {
	return l.queue.store.Commit(context.Background(), &store.Tx{Ack: []store.Lease{l}})
}

// Release gives the frame back.
func (l *lease) Release(after time.Duration) error {
	s := l.queue.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.held() {
		l.queue.release(l.frame, after)
	}
	return nil
}

// held tells whether the lease has not ended. The caller holds the lock.
func (l *lease) held() bool {
	return !l.queue.store.closed && l.frame.holder == l && !l.ending
}
