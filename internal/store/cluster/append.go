package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

const (
	// appendWait is how long an append waits for a cluster that elects a
	// leader or a connection that is made anew, before it is ErrBroken.
	appendWait = 10 * time.Second
	// pause is waited before something is tried again.
	pause = 50 * time.Millisecond
)

// Append puts a frame at the end of a place. See [store.Store].
func (s *Store) Append(ctx context.Context, to store.Place, f store.Frame) error {
	if err := store.CheckFrame(f); err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	p := s.place(to)
	if err := p.check(); err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	if err := s.blobs.named(ctx, f); err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	if err := s.take(ctx, int64(len(f.Data)), f.Rank); err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	err := s.publish(ctx, p, f)
	s.room.settled(int64(len(f.Data)), err == nil)
	if err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	return nil
}

// publish stores a frame. What the cluster cannot do for a moment is tried
// again, unless the frame may have been stored: that is the caller's to decide.
func (s *Store) publish(ctx context.Context, p *place, f store.Frame) error {
	waits, cancel := s.within(ctx, appendWait)
	defer cancel()
	for {
		if _, err := s.current(); err != nil {
			return err
		}
		again, err := s.publishOnce(waits, p, f)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isFull(err):
			s.room.doubt()
			return fmt.Errorf("%w: the cluster says: %w", store.ErrFull, err)
		case !again || waits.Err() != nil:
			return s.broken(err)
		}
		select {
		case <-waits.Done():
		case <-time.After(pause):
		}
		if waits.Err() != nil {
			return s.broken(err)
		}
	}
}

// publishOnce tries to store a frame. again says that it surely was not.
func (s *Store) publishOnce(ctx context.Context, p *place, f store.Frame) (again bool, err error) {
	if !s.nc.IsConnected() {
		return true, nats.ErrDisconnected
	}
	if err := s.ensure(ctx, p); err != nil {
		return true, err
	}
	_, err = s.js.Publish(ctx, layout.Subject(s.cfg.Group, p.name, f.Packets), f.Data, jetstream.WithRetryAttempts(0))
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		p.forget() // it has no leader for the moment, or was cleared by another node
		return true, err
	}
	return false, err
}

// broken is what the caller is told of an error of the cluster.
func (s *Store) broken(err error) error {
	s.mu.Lock()
	down, closed := s.down, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case down != nil:
		err = down
	}
	return fmt.Errorf("%w: %w", store.ErrBroken, err)
}
