package node

import (
	"context"
	"fmt"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
)

// What was taken ahead of the workers and has not begun goes back to where others can
// take it when the reason to have it is over: another worker is free, the seed is
// paused or not loaded, the node stops, the node that it came from is gone.

// takeBack takes what a worker had and did not begin, for the next one that is free.
func (f *flow) takeBack(h *host, its []item) {
	if h.queue.pushBack(its) == nil {
		for range min(len(its), len(h.slots)) {
			h.wake()
		}
		return
	}
	// Whoever closed the queue has made the snapshot before.
	switch {
	case f.running.Err() != nil:
		for i := range its {
			f.abandon(&its[i])
		}
	case f.snap.Load().hosts[h.manifest.Name] == h: // it begins nothing now
		if err := f.putBack(f.running, h, withdrawn{items: its}); err != nil {
			f.log.Warn("storing what a worker gave back", "seed", h.name, "error", err)
		}
	default:
		for i := range its {
			f.reroute(&its[i], h)
		}
	}
}

// putBack gives stores what was taken out of the queue. Frames that are whole are
// released as if they had never been leased; of others each packet is stored in the
// seed's inbox, and it waits for those that were stored nowhere else.
func (f *flow) putBack(ctx context.Context, h *host, left withdrawn) error {
	for _, part := range left.frames {
		part.from[0].frame.untouched.Store(true)
		for i := range part.packets {
			f.abandon(&item{Packet: part.packets[i], from: &part.from[i]})
		}
	}
	var flying []*commit
	for i := range left.items {
		it := &left.items[i]
		f.fit(&it.Packet)
		l := lane{into: f.backTo(it), queue: h.inbox, rank: store.Descendant, sole: it.sole}
		c, err := f.storeIn(f.running, it, []lane{l}, 0, bringer{})
		switch {
		case err != nil:
			f.abandon(it)
		case c != nil && (len(flying) == 0 || flying[len(flying)-1] != c):
			flying = append(flying, c)
		}
	}
	for _, c := range flying {
		if err := c.await(ctx); err != nil {
			return fmt.Errorf("store what was queued for %s: %w", h.name, err)
		}
	}
	return nil
}

// backTo is the peer in whose store a packet goes that this node does not run: where
// it came from, if the node leaves.
func (f *flow) backTo(it *item) *peer {
	if it.from == nil || f.injecting.Err() == nil {
		return it.into()
	}
	if p := it.from.frame.peer; p != nil && f.met(p.name) == p {
		return p
	}
	return it.into()
}

// relieve gives other nodes what the workers of a seed will not begin soon: all are
// at a run that takes long.
func (f *flow) relieve() {
	snap, before := f.snap.Load(), int64(f.clock.now()-runner.GiveBack)
	for name, h := range snap.hosts {
		if h.queue.length.Load() == 0 || len(snap.net.Replicas(name)) < 2 || !h.stalled(before) {
			continue
		}
		f.goroutines.Go(func() {
			if err := f.putBack(f.running, h, h.rest(before)); err != nil {
				f.log.Debug("storing what a seed that takes long was to run", "seed", h.name, "error", err)
			}
		})
	}
}

// rest takes what is queued, and has nothing pulled until a worker that is stalled has
// ended its batch.
func (h *host) rest(before int64) withdrawn {
	left := h.queue.rest()
	if !h.stalled(before) { // one has ended meanwhile, and may not look at the queue again
		h.queue.resume()
	}
	return left
}

// doubtful tells whether the peer that the frame came from may have given it to others,
// before h has begun with it. It is asked for each frame of a batch, not for each packet.
func (o *origin) doubtful(h *host) bool {
	lease, ok := o.lease.(mesh.Lapsing)
	return ok && o.at == h.inbox && lease.Lapsed()
}

// forgo has what was pulled from a peer that is gone not begin any more: the peer has
// given it to others, or will.
func (f *flow) forgo(h *host, p *peer) {
	its := h.queue.of(p)
	for i := range its {
		f.abandon(&its[i])
	}
}
