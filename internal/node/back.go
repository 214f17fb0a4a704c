package node

import (
	"context"
	"fmt"
	"maps"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
)

// What was taken ahead of the workers and has not begun goes back to where others can
// take it when the reason to have it is over: another worker is free, the seed is
// paused or not loaded, the node stops, the node that it came from is gone.

// giveBack takes what a worker had and did not begin, for the next one that is free.
func (h *host) giveBack(its []item) {
	n := h.node
	if h.queue.pushBack(its) != nil {
		n.change.Lock()
		ends, hosted := n.closed, n.snap.Load().hosts[h.manifest.Name] == h
		n.change.Unlock()
		switch {
		case ends:
			for i := range its {
				n.abandon(&its[i])
			}
		case hosted: // it begins nothing now
			if err := h.putBack(n.running, withdrawn{items: its}); err != nil {
				n.log.Warn("storing what a worker gave back", "seed", h.name, "error", err)
			}
		default:
			for i := range its {
				n.reroute(&its[i], h)
			}
		}
		return
	}
	for range min(len(its), len(h.slots)) {
		h.kick()
	}
}

// putBack gives stores what was taken out of the queue. Frames that are whole are
// released as if they had never been leased; of others each packet is stored in the
// seed's inbox, and it waits for those that were stored nowhere else.
func (h *host) putBack(ctx context.Context, left withdrawn) error {
	n := h.node
	for _, part := range left.frames {
		part.from[0].frame.untouched.Store(true)
		for i := range part.packets {
			n.abandon(&item{Packet: part.packets[i], from: &part.from[i]})
		}
	}
	var flying []*commit
	for i := range left.items {
		it := &left.items[i]
		n.fit(&it.Packet)
		l := lane{into: n.backTo(it), queue: h.inbox, rank: store.Descendant, sole: it.sole}
		f, err := n.storeIn(n.running, it, []lane{l}, 0, bringer{})
		switch {
		case err != nil:
			n.abandon(it)
		case f != nil && (len(flying) == 0 || flying[len(flying)-1] != f):
			flying = append(flying, f)
		}
	}
	for _, f := range flying {
		if err := f.await(ctx); err != nil {
			return fmt.Errorf("store what was queued for %s: %w", h.name, err)
		}
	}
	return nil
}

// backTo is the peer in whose store a packet goes that this node does not run: where
// it came from, if the node leaves.
func (n *Node) backTo(it *item) *peer {
	if it.from == nil || n.injecting.Err() == nil {
		return it.into()
	}
	if p := it.from.frame.peer; p != nil && n.peer(p.name) == p {
		return p
	}
	return it.into()
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
		if err := h.putBack(n.running, w); err != nil {
			n.log.Warn("storing what a seed was to run", "seed", h.name, "error", err)
		}
	}
}

// relieve gives other nodes what the workers of a seed will not begin soon: all are
// at a run that takes long.
func (n *Node) relieve() {
	snap, before := n.snap.Load(), int64(n.clock.now()-runner.GiveBack)
	for name, h := range snap.hosts {
		if h.queue.length.Load() == 0 || len(snap.net.Replicas(name)) < 2 || !h.stalled(before) {
			continue
		}
		n.goroutines.Go(func() {
			if err := h.putBack(n.running, h.rest(before)); err != nil {
				n.log.Debug("storing what a seed that takes long was to run", "seed", h.name, "error", err)
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

// stalled tells whether every worker has been at one batch since before then.
func (h *host) stalled(before int64) bool {
	for _, s := range h.slots {
		if since := s.busy.Load(); since == 0 || since > before {
			return false
		}
	}
	return true
}

// doubtful tells whether the peer that the frame came from may have given it to others,
// before h has begun with it. It is asked for each frame of a batch, not for each packet.
func (o *origin) doubtful(h *host) bool {
	lease, ok := o.lease.(mesh.Lapsing)
	return ok && o.at == h.inbox && lease.Lapsed()
}

// forgo has what was pulled from a peer that is gone not begin any more: the peer has
// given it to others, or will.
func (h *host) forgo(p *peer) {
	its := h.queue.of(p)
	for i := range its {
		h.node.abandon(&its[i])
	}
}
