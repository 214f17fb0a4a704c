// Package packet holds the values that move through a Data Transformation
// Network: a packet, its state, its id and its history. It does no I/O and
// starts nothing.
package packet

import (
	"fmt"
	"strings"
	"time"
)

// A Packet is one piece of data, its state and its history. It is a value:
// whoever copies it owns the copy, and what it points to is never changed
// after it was made, so that copies may be shared between goroutines.
type Packet struct {
	// ID names this packet; see [ID] for where it comes from.
	ID ID
	// Ship is the job that the packet belongs to.
	Ship Ship
	// State says what Data is.
	State State
	// Data is any bytes, text where it is UTF-8. It is a string because
	// bytes that several seeds share must not change.
	Data string
	// Blob is where the data lies that is too large for Data, which is then
	// empty; else nil. Whoever runs a seed gives it the data.
	Blob *Blob
	// Attempt counts the runs that this packet has failed so far. The counts are 32
	// bits wide so that a Packet is a multiple of 16 bytes: a copy of any other size
	// is made of moves that overlap, and reading it right away has to wait for them.
	Attempt int32
	// DeadLetters counts the dead letters among this packet and those that it
	// descends from.
	DeadLetters int32
	// Trail is the newest hop, nil for a packet that no seed has given.
	Trail *Hop
	// Wish is what the sender asked for, nil for nothing.
	Wish *Wish
	// Fault says what failed, for packets in an Error: state; else nil.
	Fault *Fault
	// Extra is what few packets have, such as attributes; nil for none.
	Extra *Extra
}

// A Ship is one job: every packet that descends from one injection carries
// the id of that injection's root packet and the node that it happened at.
type Ship struct {
	Root ID
	Node string
}

// String is the ship's id as people see it: node:root.
func (s Ship) String() string { return s.Node + ":" + s.Root.String() }

// MarshalText writes a ship as people see it.
func (s Ship) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Ship) UnmarshalText(text []byte) error {
	node, root, ok := strings.Cut(string(text), ":")
	if !ok {
		return fmt.Errorf("ship %q: expected NODE:ID", text)
	}
	id, err := ParseID(root)
	if err != nil {
		return fmt.Errorf("ship %q: %w", text, err)
	}
	*s = Ship{Root: id, Node: node}
	return nil
}

// A Hop is one run of a seed that a packet came through. Hops form a list
// from the newest to the oldest, shared between packets.
type Hop struct {
	// Prev is the hop before, nil for the first.
	Prev *Hop
	// Seed and Node are who ran.
	Seed, Node string
	// Version is that of the seed, "" for one in the program.
	Version string
	// At is when the run's batch began.
	At time.Time
	// Depth counts the hops up to here, this one included.
	Depth int
	// State and Data are what went into the hop. They are kept for packets
	// that are tracked only; else both are empty.
	State State
	Data  string
}

// A Wish is what the sender of a packet asked for. Children inherit it.
type Wish struct {
	// Stop ends the packet's way after the seed of this name.
	Stop string
	// Goal is the state that the packet is to reach: only ways that lead
	// there are taken.
	Goal State
	// GoalNode is the node that took a call and waits for the packet that
	// reaches Goal; "" where nobody waits.
	GoalNode string
	// Track keeps the data of every hop.
	Track bool
	// Follow names the ledger in which births and ends are written down, so
	// that the sender can wait for the last; zero for none.
	Follow ID
	// Trace is where the packet belongs in a trace; a run's children have the
	// run's own. It may be zero.
	Trace TraceContext
	// Deadline is when the packet goes to its Error: state instead of on;
	// the zero time is never.
	Deadline time.Time
}

// A Fault says why a packet is in an Error: state.
type Fault struct {
	// Error is what the seed raised, or how its process ended.
	Error string
	// Output is the tail of what the seed printed, at most 4 KiB.
	Output string
	// State is what the packet's state was.
	State State
	// Attempts counts the runs that failed.
	Attempts int
}

// Size is what the packet takes in memory, in bytes, its history apart.
func (p *Packet) Size() int {
	n := len(p.Data) + 192
	if p.Extra != nil {
		n += p.Extra.size()
	}
	return n
}

// Attributes are the packet's. They must not be changed.
func (p *Packet) Attributes() Attributes {
	if p.Extra == nil {
		return nil
	}
	return p.Extra.Attributes
}

// Round is how often the packet was sent on its way again by hand.
func (p *Packet) Round() int32 {
	if p.Extra == nil {
		return 0
	}
	return p.Extra.Round
}

// DataSize is how much data the packet has, in bytes, wherever that lies.
func (p *Packet) DataSize() int64 {
	if p.Blob != nil {
		return p.Blob.Size
	}
	return int64(len(p.Data))
}

// Hops counts the seeds that the packet came through.
func (p *Packet) Hops() int {
	if p.Trail == nil {
		return 0
	}
	return p.Trail.Depth
}
