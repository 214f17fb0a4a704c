package memory

import "time"

// A lease is held while its frame's holder is this lease. Nothing has to
// renew it: who could hold it after the process died?
type lease struct {
	place      *place
	frame      *frame
	deliveries int
}

// Data is the frame, the only copy: see [store.Lease].
func (l *lease) Data() []byte { return l.frame.data }

// Number is the frame's number.
func (l *lease) Number() uint64 { return l.frame.number }

// Deliveries counts how often the frame was leased.
func (l *lease) Deliveries() int { return l.deliveries }

// Ack ends the lease and the frame.
func (l *lease) Ack() error {
	s := l.place.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.held() {
		s.drop(l.place, l.frame)
	}
	return nil
}

// Release gives the frame back.
func (l *lease) Release(after time.Duration) error {
	s := l.place.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.held() {
		l.place.release(l.frame, after)
	}
	return nil
}

// held tells whether the lease has not ended. The caller holds the lock.
func (l *lease) held() bool {
	return !l.place.store.closed && l.frame.holder == l
}
