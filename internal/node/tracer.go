package node

import (
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
