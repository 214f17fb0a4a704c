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
func (r *roster) Drain(ctx context.Context) error {
	r.part()
	if r.durable() {
		r.stopPull()
		r.putAllBack()
	}
	return r.settle(ctx)
}

// putAllBack has what no seed has begun lie in stores, when the node stops.
func (r *roster) putAllBack() {
	r.change.Lock()
	hosts := r.snap.Load().hosts
	r.swap(maps.Clone(hosts), nil) // what seeds still give goes to inboxes
	left := make(map[*host]withdrawn, len(hosts))
	for _, h := range hosts {
		left[h] = h.withdraw()
	}
	r.change.Unlock()
	for h, w := range left {
		if err := r.putBack(r.running, h, w); err != nil {
			r.log.Warn("storing what a seed was to run", "seed", h.name, "error", err)
		}
	}
}

// Finish stops the injectors, takes nothing more from outside, and returns when
// everything has ended that the node's seeds take, what lies in the store
// included; retries are not delayed any more, unless the store outlives the
// node.
func (r *roster) Finish(ctx context.Context) error {
	r.part()
	return r.settle(ctx)
}

// part stops the injectors, takes nothing more from peers, where it is safe, and
// tells them that the node leaves.
func (r *roster) part() {
	r.stopInject()
	r.change.Lock()
	defer r.change.Unlock()
	for _, h := range r.snap.Load().hosts {
		h.pulls.without(nil)
	}
	r.say()
}

// settle returns when nothing moves any more.
func (r *roster) settle(ctx context.Context) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		for _, h := range r.snap.Load().hosts {
			r.hasten(h)
		}
		if r.quiet() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.running.Done():
			return nil
		}
	}
}

// quiet tells whether nothing moves: two looks at every seed find it idle, and
// no packet went in between them.
func (r *roster) quiet() bool {
	before := r.taken()
	for range 2 {
		if r.entering.Load() > 0 || r.moving.Load() > 0 || len(r.changed) > 0 || r.leftCount() > 0 || !r.rested() {
			return false
		}
		for _, h := range r.snap.Load().hosts {
			if !h.idle() {
				return false
			}
		}
	}
	return r.taken() == before
}

// rested tells whether nothing is on its way into the store, or, unless the node
// pulls no more, out of it.
func (r *roster) rested() bool {
	idle := r.allStored()
	if !idle || r.pulling.Err() != nil {
		return idle
	}
	places, err := r.store.Queues(r.running)
	if err != nil || !r.waits.idle() {
		return r.running.Err() != nil
	}
	snap := r.snap.Load()
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
func (r *roster) Unfinished() []Unfinished {
	r.change.Lock()
	hosts := slices.Collect(maps.Keys(r.leaving))
	r.change.Unlock()
	hosts = slices.AppendSeq(hosts, maps.Values(r.snap.Load().hosts))
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
