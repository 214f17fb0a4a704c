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
func (s *slot) emitWished(parent *packet.Packet, child *item, out *port) error {
	wish := parent.Wish
	hop := s.host.extend(parent, s.node.clock.at(s.now))
	if wish.Track {
		hop.State = parent.State
		if tracked(parent)+len(parent.Data) <= maxTracked {
			hop.Data = parent.Data
		}
	}
	child.Trail, child.Wish = hop, wish
	if wish.Stop == s.host.name {
		return nil // its way ends here
	}
	if wish.Goal == "" {
		return s.passNoted(child, out.to)
	}
	if child.State == wish.Goal { // reached: from here on it goes like any other
		reached := *wish
		reached.Goal = ""
		child.Wish = &reached
	}
	snap := s.node.snap.Load()
	return s.passNoted(child, snap.within(s.host, snap.dests(&child.Packet)))
}

// passNoted is pass for a packet that may be followed.
func (s *slot) passNoted(child *item, to []dest) error {
	if _, ok := followed(&child.Packet); ok {
		if s.notes == nil {
			s.notes = new(record)
		}
		s.notes.beginAll(&child.Packet, to)
	}
	return s.pass(child, to)
}

// writeNotes writes into its ledger what a run of it has begun, and, if done,
// that the run has ended.
func (s *slot) writeNotes(it *item, done, filtered bool) {
	if _, ok := followed(&it.Packet); !ok {
		return
	}
	notes := s.notes
	s.notes = nil
	if notes == nil {
		notes = new(record)
	}
	if done {
		notes.end(it.ID, s.host.name)
	}
	if filtered {
		notes.filter(it.ID, s.host.name)
	}
	if _, err := s.node.note(s.ctx, it, notes); err != nil {
		s.node.log.Debug("writing a ledger", "error", err)
	}
}
