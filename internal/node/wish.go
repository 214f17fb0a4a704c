package node

import (
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// maxTracked is how many bytes the data of a packet's hops may have: together
// with its own it has to go into a frame.
const maxTracked = store.MaxInline

// tracked is how many bytes the data of p's hops has.
func tracked(p *packet.Packet) (size int) {
	for hop := p.Trail; hop != nil; hop = hop.Prev {
		size += len(hop.Data)
	}
	return size
}

// emitWished routes an output of a packet whose sender asked for something.
func (r *run) emitWished(parent *packet.Packet, child *item, out *port) error {
	wish := parent.Wish
	hop := r.host.extend(parent, r.cfg.Name, r.clock.at(r.now))
	if wish.Track {
		hop.State = parent.State
		if tracked(parent)+len(parent.Data) <= maxTracked {
			hop.Data = parent.Data
		}
	}
	child.Trail, child.Wish = hop, wish
	if wish.Stop == r.host.name {
		return nil // its way ends here
	}
	if wish.Goal == "" {
		return r.passNoted(child, out.to)
	}
	reachGoal(&child.Packet)
	snap := r.snap.Load()
	return r.passNoted(child, snap.within(r.host, snap.dests(&child.Packet)))
}

// reachGoal has a packet in its goal go on from there like any other.
func reachGoal(p *packet.Packet) {
	if p.Wish != nil && p.Wish.Goal != "" && p.Wish.Goal == p.State {
		reached := *p.Wish
		reached.Goal = ""
		p.Wish = &reached
	}
}

// passNoted is pass for a packet that may be followed.
func (r *run) passNoted(child *item, to []dest) error {
	if _, ok := followed(&child.Packet); ok {
		if r.notes == nil {
			r.notes = new(record)
		}
		r.notes.beginAll(&child.Packet, to)
	}
	return r.pass(child, to)
}
