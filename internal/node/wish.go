package node

import "github.com/recap/pumpkin/packet"

// emitWished routes an output of a packet whose sender asked for something.
func (s *slot) emitWished(parent, child *packet.Packet, out *port) error {
	wish := parent.Wish
	hop := extend(nil, parent, s.host.name, s.node.cfg.Name, s.node.clock.at(s.now))
	if wish.Track {
		hop.State, hop.Data = parent.State, parent.Data
	}
	child.Trail, child.Wish = hop, wish
	if wish.Stop == s.host.name {
		return nil // its way ends here
	}
	if wish.Goal == "" {
		return s.node.route(s.ctx, s, child, out.to)
	}
	if child.State == wish.Goal { // reached: from here on it goes like any other
		reached := *wish
		reached.Goal = ""
		child.Wish = &reached
	}
	snap := s.node.snap.Load()
	return s.node.route(s.ctx, s, child, snap.within(s.host, snap.dests(child)))
}
