package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
)

// A commit is one transaction at work. The cluster has none, so its steps are
// done one after the other: what was cut off is repeated as a whole and loses
// nothing, since a frame is acknowledged last.
type commit struct {
	s     *tables
	blobs *Blobs
	ctx   context.Context
	tx    *store.Tx
	// done says that something of it was done, or may have been. Then the
	// caller is not waited for any more, but the cluster.
	done atomic.Bool
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
			c.s.space.doubt()
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

// repeat does what may be done twice until it succeeds.
func (c *commit) repeat(part func(ctx context.Context) error) error {
	return c.try(func(ctx, sent context.Context) (again bool, err error) {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		c.done.Store(true)
		calls, cancel := context.WithTimeout(sent, callWait)
		defer cancel()
		return true, part(calls)
	})
}
