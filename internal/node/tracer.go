package node

import (
	"time"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// A Tracer makes spans: one for each packet that comes in, which decides whether
// its ship is traced, and one for each run of a packet that is. It is safe for
// concurrent use, and does not wait for who takes the spans.
type Tracer interface {
	// Root makes the span of a packet that comes in; parent is what its sender
	// gave, or zero. It returns where the packet belongs in the trace, zero if
	// it is not traced.
	Root(parent packet.TraceContext, r *trace.Run) packet.TraceContext
	// Child is a new span's place below parent.
	Child(parent packet.TraceContext) packet.TraceContext
	// Ran makes the span, at its place, of a run that is over.
	Ran(parent, own packet.TraceContext, r *trace.Run)
}

// traceRoot gives a packet that comes in its place in a trace.
func (n *Node) traceRoot(p *packet.Packet, injector string) {
	if n.cfg.Tracer == nil {
		return
	}
	var wish packet.Wish
	if p.Wish != nil {
		wish = *p.Wish
	}
	c := n.cfg.Tracer.Root(wish.Trace, &trace.Run{Packet: p.ID, Ship: p.Ship, Born: true, Seed: injector, Node: n.cfg.Name, State: p.State, At: time.Now()})
	if c != wish.Trace {
		wish.Trace = c
		p.Wish = &wish
	}
}

// trace gives the packets of the batch that are traced the places of the spans
// of their runs: what they give, and what the seed does elsewhere, belongs below
// those.
func (s *slot) trace() {
	s.wishes = s.wishes[:0]
	for i := range s.batch {
		p := &s.batch[i]
		if p.Wish == nil || p.Wish.Trace.IsZero() {
			continue
		}
		for len(s.wishes) < len(s.batch) {
			s.wishes = append(s.wishes, nil)
		}
		own := *p.Wish
		own.Trace = s.node.cfg.Tracer.Child(own.Trace)
		s.wishes[i], p.Wish = p.Wish, &own
	}
}

// untraced is the wish of packet i as it was before its run; nil if it is not
// traced here.
func (s *slot) untraced(i int) *packet.Wish {
	if s.node.cfg.Tracer == nil || i >= len(s.wishes) {
		return nil
	}
	return s.wishes[i]
}
