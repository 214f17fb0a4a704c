package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/recap/pumpkin/seed"
)

// drainPoll is how often a drain looks whether everything has ended.
const drainPoll = 2 * time.Millisecond

// Drain stops the injectors, takes nothing more from outside, and returns when
// everything that was in flight has ended or lies where it is safe: with a
// store that outlives the node, what runs ends, and what has not begun or waits
// for its next attempt goes back there; otherwise it is [Node.Finish].
// It returns ctx's error if that ends before.
func (n *Node) Drain(ctx context.Context) error {
	n.part()
	if n.durable() {
		n.stopPull()
		n.putAllBack()
	}
	return n.settle(ctx)
}

// putAllBack has what no seed has begun lie in stores, when the node stops.
func (n *Node) putAllBack() {
	n.change.Lock()
	hosts := n.snap.Load().hosts
	n.swap(maps.Clone(hosts), nil) // what seeds still give goes to inboxes
	left := make(map[*host]withdrawn, len(hosts))
	for _, h := range hosts {
		left[h] = h.withdraw()
	}
	n.change.Unlock()
	for h, w := range left {
		if err := n.putBack(n.running, h, w); err != nil {
			n.log.Warn("storing what a seed was to run", "seed", h.name, "error", err)
		}
	}
}

// Finish stops the injectors, takes nothing more from outside, and returns when
// everything has ended that the node's seeds take, what lies in the store
// included; retries are not delayed any more, unless the store outlives the
// node.
func (n *Node) Finish(ctx context.Context) error {
	n.part()
	return n.settle(ctx)
}

// part stops the injectors, takes nothing more from peers, where it is safe, and
// tells them that the node leaves.
func (n *Node) part() {
	n.stopInject()
	n.change.Lock()
	defer n.change.Unlock()
	for _, h := range n.snap.Load().hosts {
		h.pulls.without(nil)
	}
	n.say()
}

// settle returns when nothing moves any more.
func (n *Node) settle(ctx context.Context) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		for _, h := range n.snap.Load().hosts {
			n.hasten(h)
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
		if n.entering.Load() > 0 || n.moving.Load() > 0 || len(n.changed) > 0 || n.leftCount() > 0 || !n.rested() {
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

// rested tells whether nothing is on its way into the store, or, unless the node
// pulls no more, out of it.
func (n *Node) rested() bool {
	idle := n.allStored()
	if !idle || n.pulling.Err() != nil {
		return idle
	}
	places, err := n.store.Queues(n.running)
	if err != nil || !n.waits.idle() {
		return n.running.Err() != nil
	}
	snap := n.snap.Load()
	for _, c := range places {
		if name, ok := c.Queue.Seed(); ok && snap.hosted(name) && !snap.stands(name) { // here, or by who pulls it
			return false
		}
	}
	return true
}

// Unfinished is what a seed of the node has before it.
type Unfinished struct {
	Seed    seed.Name
	Queued  int // packets in its queue
	Running int // workers that have packets
}

// Unfinished are the seeds that have something, the ones of which most runs first, those included
// that were replaced and finish what they have.
func (n *Node) Unfinished() []Unfinished {
	n.change.Lock()
	hosts := slices.Collect(maps.Keys(n.leaving))
	n.change.Unlock()
	hosts = slices.AppendSeq(hosts, maps.Values(n.snap.Load().hosts))
	var out []Unfinished
	for _, h := range hosts {
		u := Unfinished{Seed: h.manifest.Name, Running: h.busy()}
		if u.Queued, _ = h.queue.look(); u.Queued > 0 || u.Running > 0 {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b Unfinished) int {
		return cmp.Or(cmp.Compare(b.Running, a.Running), cmp.Compare(b.Queued, a.Queued), cmp.Compare(a.Seed, b.Seed))
	})
	return out
}
