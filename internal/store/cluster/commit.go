package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A committer does transactions.
type committer struct {
	tables
	blobs *Blobs
}

// Commit does the steps of tx in their order, and stops at the first error. See
// [store.Store]. Every step is confirmed by a quorum before the next begins; of
// acknowledgements only a durable transaction waits for that.
func (s *committer) Commit(ctx context.Context, tx *store.Tx) error {
	c := &commit{s: &s.tables, blobs: s.blobs, ctx: ctx, tx: tx}
	if err := c.check(); err != nil {
		return err
	}
	taken, err := c.reserve()
	if err != nil {
		return err
	}
	// The first step is the only one that uses the space.
	err = c.append()
	s.space.finished(taken, err == nil)
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

// checkLeases says which lease has ended. The lock is held.
func (c *commit) checkLeases() error {
	for _, l := range c.tx.Ack {
		own, ok := l.(*lease)
		if !ok || own.s != &c.s.holder {
			return fmt.Errorf("acknowledge a frame: a lease of another store (%T)", l)
		}
		if own.over {
			return own.ended()
		}
	}
	return nil
}

// reserve reserves space for all frames together, and renews the large data that
// they name.
func (c *commit) reserve() (taken int64, err error) {
	var roots, all int64
	for i := range c.tx.Append {
		a := &c.tx.Append[i]
		if err := c.blobs.named(c.ctx, a.Blobs); err != nil {
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
	if err := c.s.reserveSpace(c.ctx, roots, all); err != nil {
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
		c.s.space.doubt()
	}
	return nil
}

// clear deletes the streams of queues.
func (c *commit) clear() error {
	for _, name := range c.tx.Clear {
		q := c.s.lookUp(name)
		err := c.repeat(func(ctx context.Context) error { return c.s.deleteStream(ctx, q) })
		if err != nil {
			return fmt.Errorf("clear %s: %w", name, err)
		}
		c.s.space.doubt()
		c.s.mu.Lock()
		if c.s.byName[name] == q {
			delete(c.s.byName, name)
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
