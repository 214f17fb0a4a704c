package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
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
