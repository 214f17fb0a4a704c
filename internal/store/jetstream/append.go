package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// Append puts a frame at the end of a place. See [store.Store].
func (s *Store) Append(ctx context.Context, to store.Place, f store.Frame) error {
	if err := errors.Join(to.Check(), store.CheckFrame(f)); err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	size := int64(len(f.Data))
	if err := s.room.take(size, f.Rank); err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	stored, err := s.publish(ctx, to, f)
	if !stored {
		s.room.give(size)
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	return nil
}

// publish sends the frame to the server and waits until it is stored. With an
// error, stored says whether it may have been.
func (s *Store) publish(ctx context.Context, to store.Place, f store.Frame) (stored bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	eng, _, err := s.current()
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	err = s.unsure()
	l := s.line(to)
	epoch := l.epoch
	s.mu.Unlock()
	if err != nil {
		return false, fmt.Errorf("%w: %w", store.ErrBroken, err)
	}
	p := eng.place(to)
	if err := eng.ensure(ctx, p); err != nil {
		return false, s.broken(ctx, err)
	}
	number, err := eng.publish(ctx, p, f)
	switch {
	case err == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lines[to] == l && l.epoch == epoch {
			s.tally.stored(key{to, number})
			l.stored(number, f.Data)
			return true, nil
		}
		// The place was cleared meanwhile; the next count finds what is there.
		s.room.doubt.Store(true)
		return true, nil
	case errors.Is(err, nats.ErrNoResponders):
		// The stream went, with or without its server.
		p.make.Lock()
		p.made = false
		p.make.Unlock()
		return false, s.broken(ctx, err)
	case isRefused(err):
		return false, s.broken(ctx, err)
	}
	// Whether the server has it is not known; the next count will tell.
	s.room.doubt.Store(true)
	return true, s.broken(ctx, err)
}

// publish stores a frame in a place that exists, and tells its number.
func (e *engine) publish(ctx context.Context, p *place, f store.Frame) (number uint64, err error) {
	msg, err := e.request(ctx, p.subject(e.group, f.Packets), f.Data)
	if err != nil {
		return 0, err
	}
	var ack server.JSPubAckResponse
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		return 0, fmt.Errorf("read the server's answer: %w", err)
	}
	if err := apiError(ack.Error); err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// isRefused tells whether the server said that it did not do it.
func isRefused(err error) bool {
	var api *server.ApiError
	return errors.As(err, &api)
}

// broken is what the caller is told of an error of the server. Unless the
// caller gave up, the supervisor has a look.
func (s *Store) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return err
	}
	if isCode(err, server.JSStreamStoreFailedF) {
		s.fault(err) // only another server helps
	}
	s.wake()
	return fmt.Errorf("%w: %w", store.ErrBroken, err)
}

// wake makes the supervisor look at once.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// subject is that of a frame of so many packets, made once.
func (p *place) subject(group string, packets int) string {
	if subj, ok := p.subjects.Load(packets); ok {
		return subj.(string)
	}
	subj := layout.Subject(group, p.name, packets)
	p.subjects.Store(packets, subj)
	return subj
}
