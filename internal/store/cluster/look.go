package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
)

// acksWait is how long a count waits for acknowledgements under way.
const acksWait = time.Second

// Queues counts what lies in every queue. See [store.Store].
func (s *holder) Queues(ctx context.Context) ([]store.Count, error) {
	if _, err := s.current(); err != nil {
		return nil, fmt.Errorf("count the queues: %w", err)
	}
	s.awaitAcks(ctx, acksWait)
	streams, err := s.listAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the queues: %w", s.unanswered(ctx, err))
	}
	var all []store.Count
	for _, st := range streams {
		if st.State.Msgs == 0 {
			continue
		}
		c, err := s.count(ctx, s.lookUp(st.queue))
		if err != nil {
			return nil, fmt.Errorf("count the frames of %s: %w", st.queue, s.unanswered(ctx, err))
		}
		if c.Frames > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b store.Count) int { return cmp.Compare(a.Queue, b.Queue) })
	return all, nil
}

// listAll lists the streams of all queues. One that elects a leader does not
// answer for a moment, and is waited for.
func (s *holder) listAll(ctx context.Context) (all []listed, err error) {
	err = s.untilAnswered(ctx, func(ctx context.Context) error {
		all, err = s.listStreams(ctx)
		return err
	})
	return all, err
}

// subjects are those of all frames of a queue, and how many each has.
func (s *holder) subjects(ctx context.Context, q *queue) (map[string]uint64, error) {
	info, err := s.info(ctx, q)
	if err != nil || info == nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// count is what lies in one queue; nothing if it was cleared meanwhile.
func (s *holder) count(ctx context.Context, q *queue) (store.Count, error) {
	info, err := s.info(ctx, q)
	if err != nil || info == nil {
		return store.Count{}, err
	}
	packets, delays := packetsIn(info.State.Subjects)
	return store.Count{
		Queue: q.name, Since: info.State.FirstTime,
		Frames:  int(info.State.Msgs), //nolint:gosec // a count of what lies on a disk
		Packets: packets,
		Bytes:   frameBytes(s.cfg.Group, q.name, info.State.Bytes, info.State.Msgs) - delays,
	}, nil
}

// Look shows the frames of a queue. See [store.Store].
func (s *holder) Look(ctx context.Context, at store.Queue, from uint64, visit func(store.Stored) bool) error {
	if _, err := s.current(); err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	q := s.lookUp(at)
	if err := q.check(); err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	if from == 0 { // who goes on from somewhere has waited at its begin
		s.awaitAcks(ctx, acksWait)
	}
	more := true
	err := s.read(ctx, q, filter(s.cfg.Group, at), from, func(r store.Stored) bool {
		if r.NotBefore.IsZero() && !s.isEnding(key{at, r.Number}) {
			more = visit(r)
		}
		return more
	})
	if err == nil && more {
		err = s.lookDelayed(ctx, q, visit)
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", at, s.unanswered(ctx, err))
	}
	return nil
}

// lookDelayed shows the frames of a queue that are delayed, in the order in which
// they are due. What they hold is read again, since it may be more than memory.
func (s *holder) lookDelayed(ctx context.Context, q *queue, visit func(store.Stored) bool) error {
	subjects, err := s.subjects(ctx, q)
	if err != nil {
		return err
	}
	type delayed struct {
		subject string
		number  uint64
		due     time.Time
	}
	var all []delayed
	for subject := range subjects {
		if _, after := parseSubject(subject); after == 0 {
			continue
		}
		err := s.read(ctx, q, subject, 0, func(r store.Stored) bool {
			if !r.NotBefore.IsZero() {
				all = append(all, delayed{subject, r.Number, r.NotBefore})
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b delayed) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.number, b.number))
	})
	more := true
	for _, d := range all {
		err := s.read(ctx, q, d.subject, d.number, func(r store.Stored) bool {
			if r.Number == d.number {
				r.Number, r.NotBefore = 0, d.due
				more = visit(r)
			}
			return false
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// read reads the frames of a queue under the subjects that filter matches, also
// those whose acknowledgement is on its way. NotBefore is that of those that are
// delayed, by the clock of this machine.
func (s *holder) read(ctx context.Context, q *queue, filter string, from uint64, visit func(store.Stored) bool) error {
	var stream jetstream.Stream
	err := s.untilAnswered(ctx, func(ctx context.Context) (err error) {
		stream, err = s.js.Stream(ctx, q.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	})
	for next := max(from, 1); err == nil && stream != nil; {
		var msg *jetstream.RawStreamMsg
		err = s.untilAnswered(ctx, func(ctx context.Context) (err error) {
			msg, err = stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(filter))
			if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				msg, err = nil, nil
			}
			return err
		})
		if err != nil || msg == nil {
			return err
		}
		next = msg.Sequence + 1
		r := store.Stored{Number: msg.Sequence, Data: msg.Data, Since: msg.Time}
		if _, after := parseSubject(msg.Subject); after > 0 {
			if wait := remaining(after, msg.Time, s.clock.now()); wait > 0 {
				r.NotBefore = time.Now().Add(wait)
			}
		}
		if !visit(r) {
			return nil
		}
	}
	return err
}

func (s *holder) isEnding(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leases.ending[k] != nil
}
