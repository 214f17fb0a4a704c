// Package trace holds what is known of a ship's way through the network: the
// runs that its packets had, and where those are stored that have not ended. Each
// node gives its share, and [Build] makes one tree of them. It does no I/O and starts
// nothing.
package trace

import (
	"time"

	"github.com/recap/pumpkin/packet"
)

// MaxGiven is how many outputs of a run are kept with their states; of the
// others it is known that there were some.
const MaxGiven = 64

// A Run is one run of a seed on one packet, or, where Born is set, a packet that
// came into the network.
type Run struct {
	Packet packet.ID `json:"packet"`
	// Ship is the packet's; a share says it once for all its runs.
	Ship packet.Ship `json:"-"`
	// Born says that no run of a seed on a packet is meant: the packet came in,
	// from outside or from the injector Seed.
	Born bool `json:"born,omitempty"`
	// File is the file that a packet was that came in, below the watched folder.
	File string `json:"file,omitempty"`
	// Seed and Node are who ran.
	Seed string `json:"seed,omitempty"`
	Node string `json:"node"`
	// State is what the packet was.
	State packet.State `json:"state"`
	// At is when the run began, by the clock of its node, and Took how long it
	// lasted, waiting for room for its outputs not counted.
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took_ns"`
	// Attempt counts from 1.
	Attempt int `json:"attempt,omitempty"`
	// Round is the packet's: how often it was sent on its way again by hand.
	Round int32 `json:"round,omitempty"`
	// Error says why it failed, "" if it did not; Last that it is not tried
	// again, and the packet went to its Error: state.
	Error string `json:"error,omitempty"`
	Last  bool   `json:"last,omitempty"`
	// Gave counts the outputs, and Given has the states of the first of them.
	Gave  int            `json:"gave"`
	Given []packet.State `json:"given,omitempty"`
	// Sink says that the seed gives nothing by its contract.
	Sink bool `json:"sink,omitempty"`
	// Stopped says that the way of the outputs ended here, since the sender
	// had asked for it.
	Stopped bool `json:"stopped,omitempty"`
	// Data is what went in, and Out what came out and went nowhere, if the
	// packet is tracked; else nil.
	Data *Data  `json:"in,omitempty"`
	Out  []Data `json:"out,omitempty"`
}

// Size is about what the run takes in memory, in bytes.
func (r *Run) Size() int {
	size := 320 + len(r.Error) + 16*len(r.Given) + r.Data.size()
	for i := range r.Out {
		size += r.Out[i].size()
	}
	return size
}

// DataSize is how many bytes of data it has kept.
func (r *Run) DataSize() int {
	size := r.Data.kept()
	for i := range r.Out {
		size += r.Out[i].kept()
	}
	return size
}

// A Result says in a word how a run came out.
type Result string

// What may come of a run.
const (
	Came     Result = "came in"                  // from outside or an injector
	Gave     Result = "gave"                     // one output or more
	Ended    Result = "ended"                    // as its contract says
	Filtered Result = "filtered"                 // no output though its contract has some
	Stopped  Result = "stopped"                  // where the sender had asked for it
	Failed   Result = "failed"                   // to be tried again
	GaveUp   Result = "failed for the last time" // the packet is in its Error: state
)

// Result is how the run came out.
func (r *Run) Result() Result {
	switch {
	case r.Born:
		return Came
	case r.Error != "" && r.Last:
		return GaveUp
	case r.Error != "":
		return Failed
	case r.Stopped:
		return Stopped
	case r.Gave > 0:
		return Gave
	case r.Sink:
		return Ended
	}
	return Filtered
}

// A Hop is a seed that a packet came through, as its trail has it.
type Hop struct {
	Seed string    `json:"seed"`
	Node string    `json:"node"`
	At   time.Time `json:"at"`
}

// A Rest is a packet that lies in a store. What a .pkt file has, too, has the same name in JSON.
type Rest struct {
	Packet packet.ID    `json:"id"`
	State  packet.State `json:"state"`
	Node   string       `json:"node"`
	// Seed is the seed in whose inbox it lies; "" for one that waits under its
	// state.
	Seed string `json:"seed,omitempty"`
	// Why says why nobody takes it; "" for one that a seed is to take.
	Why string `json:"why,omitempty"`
	// Since is when it was laid there, NotBefore when it may run, if later.
	Since     time.Time `json:"since"`
	NotBefore time.Time `json:"not_before,omitzero"`
	// Failed counts its failed runs so far, and Error is what failed last, for
	// one in an Error: state.
	Failed int    `json:"attempt,omitempty"`
	Error  string `json:"error,omitempty"`
	// Trail is the seeds that it came through, oldest first, at most the
	// newest [MaxTrail].
	Trail []Hop `json:"hops,omitempty"`
	*Data
}

// MaxTrail is how many hops of a packet that rests are told.
const MaxTrail = 100

// A Share is what one node knows.
type Share struct {
	Node string `json:"node"`
	// Ships are those that what was asked for may mean, at most [MaxShips];
	// Runs and Rests are told if there is just one.
	Ships []packet.Ship `json:"ships,omitempty"`
	Runs  []Run         `json:"runs,omitempty"`
	Rests []Rest        `json:"stored,omitempty"`
	// Keeps says what of ended packets the node keeps now.
	Keeps Keeps `json:"keeps"`
	// Partial says that not all of the store was looked through.
	Partial bool `json:"partial,omitempty"`
}

// MaxShips is how many ships are named when an abbreviation means several.
const MaxShips = 10

// Keeps is what a node keeps of packets that have ended.
type Keeps struct {
	// OneIn is how many ships share one that is kept, of those that nobody asked
	// to follow.
	OneIn uint64 `json:"one_in"`
	// Since is when the oldest run that is kept began; zero for none.
	Since time.Time `json:"since,omitzero"`
}
