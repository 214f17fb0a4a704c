package pebble

import (
	"context"
	"errors"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// Begin notes that work on the frames of leases begins, and returns once the disk
// has it: if the process ends before the frames do, that counts as a delivery of
// theirs. Only frames with earlier deliveries need it.
func (c *committer) Begin(ctx context.Context, leases []store.Lease) error {
	if c.memory {
		return nil
	}
	c.mu.Lock()
	for _, l := range leases {
		own, ok := l.(*lease)
		if !ok || own.queue.shared != &c.shared {
			c.mu.Unlock()
			return errors.New("begin with a frame: its lease is one of another store")
		}
		if own.deliveries > 1 && own.held() && !own.frame.begun {
			own.frame.begun = true
			own.queue.leased.count(own.frame.number, 1)
			c.marked[own.queue] = true
		}
	}
	c.mu.Unlock()
	return c.submit(ctx, &request{tx: &store.Tx{Durable: true}})
}

// writeMarks has marks written that no commit has taken along, until the store
// ends.
func (c *committer) writeMarks() {
	for {
		select {
		case <-c.toMark:
		case <-c.ctx.Done():
			return
		}
		if err := c.submit(c.ctx, &request{}); err != nil && c.ctx.Err() == nil {
			c.log.Debug("what was leased could not be noted", "error", err)
		}
	}
}

// writeReturned gives all leases back: the store ends well.
func (c *committer) writeReturned() error {
	batch := c.db.NewBatch()
	defer batch.Close()
	c.mu.Lock()
	for _, q := range c.byName {
		if c.memory {
			continue
		}
		for _, f := range q.inMemory {
			q.unbegin(f)
		}
	}
	c.fillMarks(batch)
	c.mu.Unlock()
	return batch.Commit(engine.NoSync)
}
