package node

import (
	"errors"
	"time"

	"github.com/recap/pumpkin/packet"
)

// pass sends an output on. A count of its own it needs only where it outlives
// this call.
func (r *run) pass(child *item, to []dest) error {
	if child.from == nil {
		return r.routeHere(child, to)
	}
	if len(to) == 1 && to[0].host != nil && child.from.anew() {
		child.sole = to[0].sole
		if to[0].host.inPlace(&r.caller, child) {
			return nil
		}
	}
	child.from.hold()
	var err error
	if r.long() {
		_, err = r.storePacket(r.ctx, child, to)
	} else {
		err = r.routeHere(child, to)
	}
	switch {
	case errors.Is(err, ErrTooLong):
		child.from.end(1) // the run fails
	case err != nil:
		r.abandon(child)
	}
	return err
}

// longRun is a run whose outputs are stored before it goes on, so that a later
// crash does not repeat it.
const longRun = 50 * time.Millisecond

func (r *run) long() bool {
	return r.host.cost.get() >= longRun || r.clock.now()-r.now >= longRun
}

// routeHere routes what the run gave, and runs it in place where that can be.
func (r *run) routeHere(it *item, to []dest) error {
	if ended, err := r.rests(r.ctx, it, to); ended || err != nil {
		return err
	}
	for i := range to {
		if d := &to[i]; d.host != nil && (it.from.anew() || !it.from.has(d.inbox, &it.Packet)) {
			it.sole = d.sole
			if d.host.inPlace(&r.caller, it) {
				if i == len(to)-1 {
					it.from.end(1)
				}
				continue
			}
		}
		if err := r.routeTo(r.ctx, &r.caller, it, to, i); err != nil {
			return err
		}
	}
	return nil
}

// takeBlob takes over the hold on the blob of an output of packet i: the
// packet's frame holds it, or, without a store on the way, its data is read into
// memory.
func (r *run) takeBlob(i int, out *packet.Output) (err error) {
	if r.from[i] != nil {
		r.from[i].frame.keep(out.Blob.Sum)
		return nil
	}
	b := *out.Blob
	out.Blob = nil
	defer r.drop([]packet.Sum{b.Sum})
	out.Data, err = r.read(b)
	return err
}
