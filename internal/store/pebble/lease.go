package pebble

import (
	"context"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A lease is held while its frame's holder is its id. Nothing has to renew
// it: who could hold it after the process died?
type lease struct {
	queue      *queue
	frame      *frame
	id         uint64
	deliveries int
}

// Data is the frame; see [store.Lease].
func (l *lease) Data() []byte { return l.frame.data }

// Number is the frame's number.
func (l *lease) Number() uint64 { return l.frame.number }

// Deliveries counts how often the frame was leased.
func (l *lease) Deliveries() int { return l.deliveries }

// Ack ends the lease and the frame.
func (l *lease) Ack() error {
	return l.queue.shared.commit(context.Background(), &store.Tx{Ack: []store.Lease{l}})
}

// Release gives the frame back.
func (l *lease) Release(after time.Duration) error {
	s := l.queue.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.held() {
		l.queue.release(l.frame, after)
	}
	return nil
}

// held tells whether the lease has not ended. The caller holds the lock.
func (l *lease) held() bool {
	return !l.queue.shared.closed && l.frame.holder == l.id && !l.frame.ending
}

// take leases up to most frames.
func (q *queue) take(most int) []store.Lease {
	most = min(most, q.free)
	if most == 0 {
		return nil
	}
	leases := make([]store.Lease, most)
	for i := range leases {
		f := q.fresh
		if q.back.Len() > 0 && (f == nil || q.back.list[0].number < f.number) {
			f = q.back.list[0]
		}
		leases[i] = q.takeFrame(f)
	}
	return leases
}

// takeFrame leases a frame that is in memory; nil if somebody has.
func (q *queue) takeFrame(f *frame) *lease {
	switch {
	case f.holder != 0:
		return nil
	case f.fresh:
		q.unfresh(f)
	default:
		q.unheap(f)
	}
	return q.lease(f)
}

// lease leases a frame that was taken out of where it was.
func (q *queue) lease(f *frame) *lease {
	f.deliveries++
	if f.number > q.leased.mark {
		q.leased.mark = f.number
		q.shared.mark(q)
	}
	// Not all of them in one array: one would hold the data of all.
	q.shared.leases++
	f.holder = q.shared.leases
	return &lease{queue: q, frame: f, id: f.holder, deliveries: f.deliveries}
}
