package node

import (
	"context"

	"github.com/recap/pumpkin/internal/store"
)

// route gives it to every seed of to, or stores it under its state where there is none. It
// takes over the item's count, unless it fails.
func (f *flow) route(ctx context.Context, it *item, to []dest) error {
	if ended, err := f.rests(ctx, it, to); ended || err != nil {
		return err
	}
	for i := range to {
		if err := f.routeTo(ctx, nil, it, to, i); err != nil {
			return err
		}
	}
	return nil
}

// rests tells whether it goes to no seed: it waits, or waited when its frame was leased
// before, and went on from there.
func (f *flow) rests(ctx context.Context, it *item, to []dest) (ended bool, err error) {
	if len(to) == 0 || it.Hops() >= maxHops {
		return true, f.keepWaiting(ctx, it)
	}
	if !it.from.anew() && it.from.has(store.Waiting(it.State), &it.Packet) {
		it.from.end(1)
		return true, nil
	}
	return false, nil
}

// routeTo gives it to one of the seeds of to, by the run that gave it, nil for what comes
// from outside. With the last one its count is taken over.
func (f *flow) routeTo(ctx context.Context, by *caller, it *item, to []dest, i int) error {
	last := i == len(to)-1
	if !it.from.anew() && it.from.has(to[i].inbox, &it.Packet) {
		if last {
			it.from.end(1)
		}
		return nil
	}
	if !last {
		it.from.hold()
	}
	err := f.give(ctx, by, it, to[i])
	if err != nil && i > 0 && it.from == nil && f.running.Err() == nil {
		d := to[i] // the copies before cannot be taken back
		d.forced = true
		err = f.give(f.running, by, it, d)
	}
	if err != nil && !last {
		it.from.end(1)
	}
	return err
}

// storePacket stores it in the inbox of every seed of to, or under its state where
// there is none. It takes over the item's count, unless it fails. What descends
// from a leased frame is stored together with all else that does; for any other
// packet the commit tells when it has landed.
func (f *flow) storePacket(ctx context.Context, it *item, to []dest) (*commit, error) {
	return f.storeFor(ctx, it, to, bringer{})
}

// lane leads into the seed's inbox, in the store where the packet belongs.
func (d *dest) lane(it *item) lane {
	if d.loading != nil {
		d.loading.want()
	}
	return lane{into: it.into(), queue: d.inbox, rank: rank(it), sole: d.sole}
}

// storeFor is storePacket for what an intake has brought.
func (f *flow) storeFor(ctx context.Context, it *item, to []dest, from bringer) (*commit, error) {
	var few [4]lane // most packets have one destination
	lanes := few[:0]
	if len(to) == 0 || it.Hops() >= maxHops {
		lanes = append(lanes, lane{into: it.into(), queue: store.Waiting(it.State), rank: rank(it)})
	} else {
		for i := range to {
			lanes = append(lanes, to[i].lane(it))
		}
	}
	return f.storeIn(ctx, it, lanes, 0, from)
}

// give puts it into a seed's queue while that has room. Otherwise a packet that
// came out of the store goes back there, to the seed's inbox, and any other
// waits for room. A seed that is not here has an inbox alone.
func (f *flow) give(ctx context.Context, by *caller, it *item, to dest) error {
	if to.host == nil {
		_, err := f.storePacket(ctx, it, []dest{to})
		return err
	}
	how := block
	switch {
	case it.from != nil:
		how = refuse
	case to.forced:
		how = force
	}
	it.sole = to.sole
	waited, err := to.host.queue.push(ctx, it, how)
	if by != nil && !by.timing {
		by.away += waited
	}
	switch err {
	case nil:
		to.host.wake()
		return nil
	case errGone:
		f.reroute(it, to.host)
		return nil
	case errNoRoom:
		_, err = f.storePacket(ctx, it, []dest{to})
	}
	return err
}

// reroute finds a new place for a packet that was for a seed which is gone:
// with the seed's successor, by its state if the seed alone had it, or else in the
// seed's inbox. It
// never blocks for room, since the packet is in already.
func (f *flow) reroute(it *item, gone *host) {
	f.fit(&it.Packet)
	snap := f.snap.Load()
	to := snap.dests(&it.Packet)
	for _, d := range to {
		if d.name == gone.manifest.Name {
			to = []dest{d}
			break
		}
	}
	if !it.sole && gone.shared[it.State] && (len(to) == 0 || to[0].name != gone.manifest.Name) {
		f.leave(it, gone)
		return
	}
	if len(to) != 1 || to[0].name != gone.manifest.Name {
		f.noteMove(it, gone.name, to)
	}
	if len(to) == 0 {
		if err := f.keepWaiting(f.running, it); err != nil {
			f.abandon(it)
		}
		return
	}
	for _, d := range to {
		it.from.hold()
		if d.host == nil {
			if _, err := f.storePacket(f.running, it, []dest{d}); err != nil {
				f.abandon(it)
			}
			continue
		}
		it.sole = d.sole
		if _, err := d.host.queue.push(f.running, it, force); err != nil { // gone as well
			if _, err := f.storePacket(f.running, it, []dest{d}); err != nil {
				f.abandon(it)
			}
			continue
		}
		d.host.wake()
	}
	it.from.end(1)
}

// leave stores the copy of a seed that is gone in its inbox: the other seeds that
// accepted the packet have theirs, and this one waits for the seed to come back.
func (f *flow) leave(it *item, gone *host) {
	f.noteMove(it, gone.name, nil)
	c, err := f.storeAlone(f.running, it, gone.inbox, 0)
	if err == nil && c != nil {
		err = c.await(f.running)
	}
	if err != nil {
		f.abandon(it)
	}
}

// keepWaiting stores it under its state, unless an acceptor has come meanwhile.
func (f *flow) keepWaiting(ctx context.Context, it *item) error {
	if to := f.snap.Load().dests(&it.Packet); len(to) > 0 {
		f.noteMove(it, waitsIn+string(it.State), to)
		return f.route(ctx, it, to)
	}
	if it.from != nil {
		c, err := f.storePacket(ctx, it, nil)
		if err != nil || c == nil {
			return err
		}
		return c.await(ctx)
	}
	sent := new(flights) // so that it can be withdrawn
	c, err := f.storeFor(ctx, it, nil, bringer{by: &sent.sender})
	if err != nil {
		return err
	}
	sent.started(c, false)
	return sent.Flush(ctx)
}
