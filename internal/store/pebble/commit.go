package pebble

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/recap/pumpkin/internal/store"
)

// Commits form groups. Whoever comes while no group is being applied leads the
// next: it takes all that is pending, makes one batch of the engine of it,
// applies it, and hands the lead on before it waits for the disk. So there is one
// writer at a time, which alone draws numbers and changes counts, and what
// comes first is visible first; and one fsync serves all that was applied before
// it.

// A committer puts transactions in line.
type committer struct {
	writer
	line line
}

// A line is of the requests that are to be done.
type line struct {
	mu      sync.Mutex
	pending []*request
	writing bool
	closed  bool
	idle    chan struct{} // closed when nothing is written any more; nil while nobody waits
}

// maxGroup is how many bytes a group may have before others wait for the next.
const maxGroup = 4 << 20

// Commit does a transaction; see [store.Store].
func (c *committer) Commit(ctx context.Context, tx *store.Tx) error {
	if err := tx.Check(); err != nil {
		return err
	}
	r := &request{tx: tx}
	for _, l := range tx.Ack {
		own, ok := l.(*lease)
		if !ok || own.queue.shared != &c.shared {
			return errors.New("acknowledge a frame: its lease is one of another store")
		}
		r.acks = append(r.acks, own)
	}
	return c.submit(ctx, r)
}

// submit has the request done, and returns when it is.
func (c *committer) submit(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.line.mu.Lock()
	if c.line.closed {
		c.line.mu.Unlock()
		return store.ErrClosed
	}
	if c.broken.Load() != nil || r.tx != nil && r.tx.Durable && c.cfg.Disk.Err() != nil {
		c.line.mu.Unlock()
		return c.trouble()
	}
	c.line.pending = append(c.line.pending, r)
	lead := !c.line.writing
	if !lead {
		r.turn = make(chan bool, 1)
	}
	c.line.writing = true
	c.line.mu.Unlock()
	if !lead {
		var err error
		if lead, err = c.awaitTurn(ctx, r); err != nil {
			return err
		}
	}
	if lead {
		c.lead()
	}
	if r.err == nil && r.synced != nil {
		return c.wait(ctx, r.synced)
	}
	return r.err
}

// awaitTurn waits until it is the request's turn to lead, or it is done.
func (c *committer) awaitTurn(ctx context.Context, r *request) (lead bool, err error) {
	select {
	case lead = <-r.turn:
		return lead, nil
	case <-c.gaveUp:
		return false, c.trouble()
	case <-ctx.Done():
	}
	if c.withdraw(r) {
		return false, ctx.Err()
	}
	select {
	case lead = <-r.turn:
		return lead, nil
	case <-c.gaveUp:
		return false, c.trouble()
	}
}

// withdraw takes the request out of the line again; false means that it is being
// done.
func (c *committer) withdraw(r *request) bool {
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	i := slices.Index(c.line.pending, r)
	if i < 0 || r.leads {
		return false
	}
	c.line.pending = slices.Delete(c.line.pending, i, i+1)
	return true
}

// lead writes what is pending and hands the lead on.
func (c *committer) lead() {
	c.line.mu.Lock()
	n, size := 0, 0
	for n < len(c.line.pending) && (n == 0 || size < maxGroup) {
		size += c.line.pending[n].size()
		n++
	}
	reqs := c.line.pending[:n:n]
	c.line.pending = c.line.pending[n:]
	c.line.mu.Unlock()

	c.write(reqs, size)

	c.line.mu.Lock()
	if len(c.line.pending) > 0 {
		c.line.pending[0].leads = true
		c.line.pending[0].turn <- true
	} else {
		c.line.pending, c.line.writing = nil, false
		if c.line.idle != nil {
			close(c.line.idle)
			c.line.idle = nil
		}
	}
	c.line.mu.Unlock()
	for _, r := range reqs {
		if r.turn != nil && !r.leads {
			r.turn <- false
		}
	}
}

// closeLine waits for what is being written and refuses everything after.
func (c *committer) closeLine() {
	c.line.mu.Lock()
	c.line.closed = true
	var idle chan struct{}
	if c.line.writing {
		if c.line.idle == nil {
			c.line.idle = make(chan struct{})
		}
		idle = c.line.idle
	}
	c.line.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-c.gaveUp:
	}
}

// wait waits for the disk. Who gives up does not learn whether it was stored.
func (c *committer) wait(ctx context.Context, g *group) error {
	select {
	case <-g.done:
		if g.err != nil {
			return c.trouble()
		}
		return nil
	case <-c.gaveUp:
		return c.trouble()
	case <-c.cfg.Disk.Stuck():
		return c.trouble()
	case <-ctx.Done():
	}
	if err := c.trouble(); err != nil {
		return fmt.Errorf("it may be stored later: %w", err)
	}
	return fmt.Errorf("it may be stored later: %w: %v", store.ErrBroken, ctx.Err())
}
