package node

import (
	"context"
	"time"
)

// drainPoll is how often a drain looks whether everything has ended.
const drainPoll = 2 * time.Millisecond

// Drain stops the injectors, takes nothing more from outside, and returns when
// everything that was in flight has ended or waits; retries are not delayed
// any more. It returns ctx's error if that ends before.
func (n *Node) Drain(ctx context.Context) error {
	n.stopInject()
	n.waits.release()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		for _, h := range n.snap.Load().hosts {
			if delayed := h.undelay(); len(delayed) > 0 {
				h.pushAlone(len(delayed), delayed...)
			}
		}
		if n.quiet() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.running.Done():
			return nil
		}
	}
}

// quiet tells whether nothing moves: two looks at every seed find it idle, and
// no packet went in between them.
func (n *Node) quiet() bool {
	before := n.taken()
	for range 2 {
		if n.entering.Load() > 0 || n.moving.Load() > 0 || len(n.changed) > 0 || n.leftCount() > 0 {
			return false
		}
		for _, h := range n.snap.Load().hosts {
			if !h.idle() {
				return false
			}
		}
	}
	return n.taken() == before
}

// taken counts the packets that seeds were given.
func (n *Node) taken() uint64 {
	var sum uint64
	for _, h := range n.snap.Load().hosts {
		in, _, _ := h.counts()
		sum += in
	}
	return sum
}

// InFlight counts what is queued and what runs.
func (n *Node) InFlight() (queued, running int) {
	for _, h := range n.snap.Load().hosts {
		packets, _ := h.queue.look()
		queued += packets
		running += h.busy()
	}
	return queued, running
}
