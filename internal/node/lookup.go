package node

import (
	"context"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// The bounds of a look through the store for the packets of one ship.
const (
	maxTraced  = 1_000_000 // packets that are looked at
	maxFound   = 10_000    // that are told
	lookupTime = 2 * time.Second
)

// Trace tells what the node knows of the ship that an id means, that of the ship
// or of one of its packets. It looks through the store as well, if stored. Where
// the id means several ships, it names them alone.
func (f *flow) Trace(ctx context.Context, id trace.Prefix, stored bool) (trace.Share, error) {
	share := trace.Share{Node: f.cfg.Name, Keeps: f.history.keeps()}
	see := func(ship packet.Ship) bool {
		if !slices.Contains(share.Ships, ship) {
			share.Ships = append(share.Ships, keptShip(ship))
		}
		return len(share.Ships) < trace.MaxShips
	}
	f.history.each(func(r *trace.Run) bool {
		return !id.Means(r.Packet) && !id.Means(r.Ship.Root) || see(r.Ship)
	})
	if !stored {
		f.tell(&share)
		return share, nil
	}
	if len(share.Ships) == 0 {
		partial, err := f.browse(ctx, func(p *packet.Packet, _ trace.Rest) bool {
			return !id.Means(p.ID) && !id.Means(p.Ship.Root) || see(p.Ship)
		})
		share.Partial = partial
		if err != nil || len(share.Ships) == 0 {
			return share, err
		}
	}
	f.tell(&share)
	if len(share.Ships) != 1 {
		return share, nil
	}
	partial, err := f.browse(ctx, func(p *packet.Packet, r trace.Rest) bool {
		if p.Ship == share.Ships[0] {
			share.Rests = append(share.Rests, f.restOf(p, r))
		}
		return len(share.Rests) < maxFound
	})
	share.Partial = share.Partial || partial
	return share, err
}

// tell adds the runs of the only ship.
func (f *flow) tell(share *trace.Share) {
	if len(share.Ships) != 1 {
		return
	}
	f.history.each(func(r *trace.Run) bool {
		if r.Ship == share.Ships[0] {
			share.Runs = append(share.Runs, *r)
		}
		return true
	})
}

// browse gives the packets in the store to visit until it returns false,
// with where they lie, and tells whether that were not all.
func (f *flow) browse(ctx context.Context, visit func(*packet.Packet, trace.Rest) bool) (partial bool, err error) {
	limit, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	places, err := f.store.Queues(limit)
	looked := 0
	for _, c := range places {
		if !c.Queue.Packets() || partial || err != nil {
			continue
		}
		for r, lookErr := range f.frames(limit, c.Queue, 0) {
			if err = lookErr; err != nil {
				break
			}
			rest := trace.Rest{Node: f.cfg.Name, Since: r.Since}
			if name, inbox := c.Queue.Seed(); inbox {
				rest.Seed, rest.NotBefore = string(name), r.NotBefore
			}
			for i := range r.packets {
				partial = partial || !visit(&r.packets[i], rest)
			}
			looked += len(r.packets)
			if partial = partial || looked >= maxTraced || limit.Err() != nil; partial {
				break
			}
		}
	}
	if err != nil && limit.Err() != nil && ctx.Err() == nil {
		return true, nil
	}
	return partial, err
}

// restOf completes what is told of a packet that lies in the store.
func (f *flow) restOf(p *packet.Packet, r trace.Rest) trace.Rest {
	r.Packet, r.State, r.Failed = p.ID, p.State, int(p.Attempt)
	snap := f.snap.Load()
	switch {
	case r.Seed == "" && len(snap.dests(p)) == 0:
		r.Why = snap.whyWaits(p)
	case snap.away[seed.Name(r.Seed)]:
		r.Why = "the seed " + r.Seed + " is away"
	case r.Seed != "" && !snap.hosted(seed.Name(r.Seed)):
		r.Why = "no node hosts the seed " + r.Seed
	}
	if p.Fault != nil {
		r.Error, r.Failed = p.Fault.Error, p.Fault.Attempts
	}
	for hop := p.Trail; hop != nil && len(r.Trail) < trace.MaxTrail; hop = hop.Prev {
		r.Trail = append(r.Trail, trace.Hop{Seed: hop.Seed, Node: hop.Node, At: hop.At})
	}
	slices.Reverse(r.Trail)
	if p.Wish != nil && p.Wish.Track {
		r.Data = dataOf(p)
	}
	return r
}
