package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
)

// A commit is one transaction at work. The cluster has none, so its steps are
// done one after the other: what was cut off is repeated as a whole and loses
// nothing, since a frame is acknowledged last.
type commit struct {
	s   *Store
	ctx context.Context
	tx  *store.Tx
	// done says that something of it was done, or may have been. Then the
	// caller is not waited for any more, but the cluster.
	done atomic.Bool
}

// Commit does the steps of tx in their order, and stops at the first error. See
// [store.Store]. Every step is confirmed by a quorum before the next begins; of
// acknowledgements only a durable transaction waits for that.
func (s *Store) Commit(ctx context.Context, tx *store.Tx) error {
	c := &commit{s: s, ctx: ctx, tx: tx}
	if err := c.check(); err != nil {
		return err
	}
	taken, err := c.takeRoom()
	if err != nil {
		return err
	}
	// The first step is the only one that uses the room.
	err = c.append()
	s.room.finished(taken, err == nil)
	for _, step := range []func() error{c.putRecords, c.acknowledge, c.remove, c.clear} {
		if err != nil {
			break
		}
		err = step()
	}
	if err != nil && c.done.Load() {
		// By the contract ErrFull and its like say that nothing was done.
		return fmt.Errorf("%v; part of the transaction may have been done", err) //nolint:errorlint // see above
	}
	return err
}

// check says why nothing of the transaction can be done.
func (c *commit) check() error {
	if _, err := c.s.current(); err != nil {
		return err
	}
	if err := c.tx.Check(); err != nil {
		return err
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	for i := range c.tx.Append {
		to := c.tx.Append[i].To
		if err := c.s.lookUp(to).check(); err != nil {
			return fmt.Errorf("append to %s: %w", to, err)
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.checkLeases()
}

// checkLeases says which lease has ended. The store's lock is held.
func (c *commit) checkLeases() error {
	for _, l := range c.tx.Ack {
		own, ok := l.(*lease)
		if !ok || own.s != c.s {
			return fmt.Errorf("acknowledge a frame: a lease of another store (%T)", l)
		}
		if own.over {
			return own.ended()
		}
	}
	return nil
}

// takeRoom reserves room for all frames together, and renews the large data that
// they name.
func (c *commit) takeRoom() (taken int64, err error) {
	var roots, all int64
	for i := range c.tx.Append {
		a := &c.tx.Append[i]
		if err := c.s.blobs.named(c.ctx, a.Blobs); err != nil {
			return 0, fmt.Errorf("append to %s: %w", a.To, err)
		}
		all += int64(len(a.Data))
		if a.Rank == store.Root {
			roots += int64(len(a.Data))
		}
	}
	if all == 0 {
		return 0, nil
	}
	if err := c.s.take(c.ctx, roots, all); err != nil {
		return 0, fmt.Errorf("append to %s: %w", c.tx.Append[0].To, err)
	}
	return all, nil
}

// acknowledge ends the leases and their frames.
func (c *commit) acknowledge() error {
	if len(c.tx.Ack) == 0 {
		return nil
	}
	c.s.mu.Lock()
	if err := c.checkLeases(); err != nil { // one ended meanwhile
		c.s.mu.Unlock()
		return err
	}
	var asked []*ending
	for _, l := range c.tx.Ack {
		if own := l.(*lease); !own.over { // else it stands there twice
			asked = append(asked, c.s.acknowledge(own))
		}
	}
	c.s.mu.Unlock()
	c.done.Store(true)
	if !c.tx.Durable {
		return nil
	}
	late := time.NewTimer(stepWait)
	defer late.Stop()
	for _, e := range asked {
		select {
		case <-e.over:
			if !e.confirmed {
				return fmt.Errorf("acknowledge frame %d of %s: the cluster does not confirm it: it may come again", e.key.number, e.key.at)
			}
		case <-late.C:
			return fmt.Errorf("acknowledge frame %d of %s: not confirmed within %v: it may come again", e.key.number, e.key.at, stepWait)
		case <-c.s.ctx.Done():
			return store.ErrClosed
		}
	}
	return nil
}

// remove takes frames out of queues.
func (c *commit) remove() error {
	for _, r := range c.tx.Remove {
		if r.Number == 0 {
			continue // no frame has it
		}
		err := c.repeat(func(ctx context.Context) error { return c.s.remove(ctx, c.s.lookUp(r.At), r.Number) })
		if err != nil {
			return fmt.Errorf("remove frame %d of %s: %w", r.Number, r.At, err)
		}
		c.s.mu.Lock()
		if l := c.s.leases.held[key{r.At, r.Number}]; l != nil {
			l.end() // whatever its holder says of it now has no meaning
		}
		c.s.mu.Unlock()
		c.s.room.doubt()
	}
	return nil
}

// remove deletes a frame; it is no error if there is none.
func (s *Store) remove(ctx context.Context, q *queue, number uint64) error {
	stream, err := s.js.Stream(ctx, q.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// What is not there is known before: the server says so in too many ways.
	_, err = stream.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	failed := stream.DeleteMsg(ctx, number)
	if failed == nil {
		return nil
	}
	if _, err := stream.GetMsg(ctx, number); errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // another was faster
	}
	return failed
}

// clear deletes the streams of queues.
func (c *commit) clear() error {
	for _, name := range c.tx.Clear {
		q := c.s.lookUp(name)
		err := c.repeat(func(ctx context.Context) error { return c.s.deleteStream(ctx, q) })
		if err != nil {
			return fmt.Errorf("clear %s: %w", name, err)
		}
		c.s.room.doubt()
		c.s.mu.Lock()
		if c.s.queues[name] == q {
			delete(c.s.queues, name)
		}
		for _, e := range c.s.leases.asked {
			if e.key.at == name {
				c.s.finish(e, true)
			}
		}
		for k, l := range c.s.leases.held {
			if k.at == name {
				l.end() // as above
			}
		}
		c.s.mu.Unlock()
		q.close()
	}
	return nil
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
