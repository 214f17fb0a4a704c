package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// stepWait is how long a step of a transaction waits for a cluster that
	// elects a leader (a busy one for 4 to 9 s, and perhaps again) or a connection that
	// is made anew, before it is ErrBroken.
	stepWait = 20 * time.Second
	// pause is waited before something is tried again.
	pause = 50 * time.Millisecond
	// maxAtOnce is how many calls a transaction has under way at a time.
	maxAtOnce = 16
)

// append stores the frames: those of one queue one after the other, so that they
// keep their order, and queues at the same time. It returns when all are
// confirmed, or an error when the others have ended as well.
func (c *commit) append() error {
	byQueue := map[store.Queue][]*store.Append{}
	for i := range c.tx.Append {
		a := &c.tx.Append[i]
		byQueue[a.To] = append(byQueue[a.To], a)
	}
	var all errgroup.Group
	all.SetLimit(maxAtOnce)
	for name, frames := range byQueue {
		all.Go(func() error {
			q := c.s.queue(name)
			for _, a := range frames {
				if err := c.publish(q, &a.Frame); err != nil {
					return fmt.Errorf("append to %s: %w", name, err)
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// publish stores a frame. What the cluster cannot do for a moment is tried
// again, unless the frame may have been stored: that is the caller's to decide.
func (c *commit) publish(q *queue, f *store.Frame) error {
	return c.try(func(ctx, sent context.Context) (again bool, err error) {
		if err := c.s.ensure(ctx, q); err != nil {
			return true, err
		}
		_, err = c.s.js.Publish(sent, subject(c.s.cfg.Group, q.name, f.Packets, f.After), f.Data, jetstream.WithRetryAttempts(0))
		var refused jetstream.JetStreamError
		switch {
		case err == nil:
			c.done.Store(true)
		case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
			q.forget() // it has no leader for the moment, or was cleared by another node
			return true, err
		case !errors.As(err, &refused): // whether it was stored is not known
			c.done.Store(true)
		}
		return false, err
	})
}

// try does a part of the transaction, again and again while it says so. Its first
// context ends with the caller's as long as nothing was done; the second does
// not, so that what was sent is not left without knowing what came of it.
func (c *commit) try(part func(ctx, sent context.Context) (again bool, err error)) error {
	sent, cancel := c.s.within(context.WithoutCancel(c.ctx), stepWait)
	defer cancel()
	for {
		if _, err := c.s.current(); err != nil {
			return err
		}
		ctx, cancel := sent, context.CancelFunc(func() {})
		if !c.done.Load() {
			ctx, cancel = c.s.within(c.ctx, stepWait)
		}
		again, err := true, error(nats.ErrDisconnected)
		if c.s.nc.IsConnected() {
			again, err = part(ctx, sent)
		}
		switch {
		case err == nil:
			cancel()
			return nil
		case isFull(err):
			cancel()
			c.s.room.doubt()
			return fmt.Errorf("%w: the cluster says: %w", store.ErrFull, err)
		}
		if again {
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
			case <-sent.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
		cancel()
		switch {
		case c.ctx.Err() != nil && !c.done.Load():
			return c.ctx.Err()
		case !again || sent.Err() != nil:
			return c.s.broken(err)
		}
	}
}

// broken is what the caller is told of an error of the cluster.
func (s *Store) broken(err error) error {
	s.mu.Lock()
	down, closed := s.down, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return store.ErrClosed
	case down != nil:
		err = down
	}
	return fmt.Errorf("%w: %w", store.ErrBroken, err)
}
