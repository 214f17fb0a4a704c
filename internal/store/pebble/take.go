package pebble

import (
	"errors"
	"fmt"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// Take leases these frames, wherever they are in their queues, in this order; nil
// stands for one that is not there, or that somebody has leased. With an error none is
// leased.
func (s *storage) Take(frames []store.Ref) ([]store.Lease, error) {
	leases := make([]store.Lease, len(frames))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range frames {
		l, err := s.takeOne(f)
		if err != nil {
			untake(leases[:i])
			return nil, fmt.Errorf("lease frame %d of %s: %w", f.Number, f.At, err)
		}
		if l != nil {
			leases[i] = l
		}
	}
	return leases, nil
}

// untake gives back leases that nobody was told of. The caller holds the lock.
func untake(leases []store.Lease) {
	for _, l := range leases {
		if own, ok := l.(*lease); ok && own.held() {
			own.frame.deliveries--
			own.queue.release(own.frame, 0)
		}
	}
}

// takeOne leases one frame; nil if it cannot be. The caller holds the lock, which is
// given up while the frame is read.
func (s *storage) takeOne(ref store.Ref) (*lease, error) {
	if s.closed {
		return nil, store.ErrClosed
	}
	q := s.byName[ref.At]
	if q == nil {
		return nil, nil
	}
	if f := q.inMemory[ref.Number]; f != nil {
		return q.takeFrame(f), nil
	}
	if !q.inBacklog(ref.Number) {
		return nil, nil
	}
	q.pulls++ // so that the queue stays
	defer func() {
		q.pulls--
		s.tidy(q)
	}()
	// It alone: those before it may be many.
	var read *frame
	var err error
	removed := q.read(func() { read, err = s.readFrame(ref) })
	if s.closed {
		return nil, store.ErrClosed
	}
	switch f := q.inMemory[ref.Number]; {
	case f != nil: // a pull has read it meanwhile
		return q.takeFrame(f), nil
	case read == nil || removed[ref.Number] || !q.inBacklog(ref.Number):
		return nil, err
	}
	read.deliveries = q.leased.before(read.number)
	q.inMemory[read.number], q.ahead[read.number] = read, read
	return q.lease(read), nil
}

// inBacklog tells whether the frame of that number is in the backlog, if it is there.
func (q *queue) inBacklog(number uint64) bool {
	return q.backlog && q.backlogFrom <= number && number <= q.backlogTo
}

// readFrame reads one frame; nil if it is not there, or damaged.
func (s *storage) readFrame(ref store.Ref) (*frame, error) {
	value, done, err := s.db.Get(frameKey(nil, ref.At, ref.Number))
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		var f content
		f, err = parseFrame(slices.Clone(value))
		_ = done.Close() // only read
		if err == nil {
			f.number = ref.Number
			return &frame{content: f}, nil
		}
	} else if !engine.IsCorruptionError(err) {
		return nil, err
	}
	s.damage.add(inFrame(ref.At, ref.Number, err).Error())
	return nil, nil
}
