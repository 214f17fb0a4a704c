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
		return r.route(r.ctx, &r.caller, child, to)
	}
	if len(to) == 1 {
		child.sole = to[0].sole
	}
	if len(to) == 1 && to[0].host != nil && child.from.anew() && to[0].host.inPlace(&r.caller, child) {
		return nil
	}
	child.from.hold()
	var err error
	if r.long() {
		_, err = r.storePacket(r.ctx, child, to)
	} else {
		err = r.route(r.ctx, &r.caller, child, to)
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
