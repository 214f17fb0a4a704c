package api

import (
	"time"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A packet has one form in JSON, that of a .pkt file (see [packet.File]): what is the same there
// has the same name here, wherever a packet is sent, listed or traced. A [Sending] has what a
// sender may say of it, a [Packet] also where it lies, a [Sent] which it was.

// A Sending is one packet on its way into a node: its data is Text or Data.
type Sending struct {
	ID    packet.ID    `json:"id,omitzero"` // drawn if it is missing; the same again for who tries again
	State packet.State `json:"state,omitempty"`
	Text  *string      `json:"data,omitempty"`
	Data  []byte       `json:"data64,omitzero"` // base64
	Stop  string       `json:"stop,omitempty"`
	Goal  packet.State `json:"goal,omitempty"`
	Track bool         `json:"track,omitempty"`
	// Attributes are the packet's; what comes of it inherits them.
	Attributes packet.Attributes `json:"attributes,omitempty"`
	// Traceparent is where it belongs in a trace (W3C Trace Context); "" is
	// what the request's header of that name says.
	Traceparent string `json:"traceparent,omitempty"`
	// Follow names a ledger in which the packet's descendants are written
	// down.
	Follow packet.ID `json:"follow,omitzero"`
}

// A Sent is a packet that was taken.
type Sent struct {
	ID    packet.ID    `json:"id"`
	Ship  packet.Ship  `json:"ship"` // NODE:ID, the job that all that comes of it belongs to
	Node  string       `json:"node"`
	State packet.State `json:"state"`
	// Outcome is what became of it, for who asked to wait; nothing is known of a
	// packet whose id was taken before.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// A Packet is one that lies in a node's store.
type Packet struct {
	ID    packet.ID    `json:"id"`
	Ship  packet.Ship  `json:"ship"` // NODE:ID
	State packet.State `json:"state"`
	Data
	Node string `json:"node"` // in whose store it lies
	// Seed is whose inbox it lies in; "" where it waits under its state.
	Seed        seed.Name         `json:"seed,omitempty"`
	Since       time.Time         `json:"since"` // when it was stored there
	NotBefore   time.Time         `json:"not_before,omitzero"`
	Attempt     int               `json:"attempt"`
	DeadLetters int               `json:"dead_letters"`
	Round       int               `json:"round,omitempty"` // how often it was sent on its way again by hand
	ShipName    string            `json:"ship_name,omitempty"`
	Attributes  packet.Attributes `json:"attributes,omitempty"`
	Path        []uint64          `json:"path,omitempty"` // its birth path
	Families    []Family          `json:"families,omitempty"`
	Hops        []Hop             `json:"hops"` // the oldest first; the newest ones, if there are many
	HopCount    int               `json:"hop_count"`
	Fault       *Fault            `json:"fault,omitempty"`
	Stop        string            `json:"stop,omitempty"`
	Goal        string            `json:"goal,omitempty"`
	GoalNode    string            `json:"goal_node,omitempty"` // that waits there for it
	Track       bool              `json:"track,omitempty"`
	Traceparent string            `json:"traceparent,omitempty"`
	Deadline    *time.Time        `json:"deadline,omitempty"`
}

// Data is some data of a packet, and what it seems to be.
type Data struct {
	// Text is the data where it is UTF-8; else Bytes is. Cut says that it is only the beginning.
	Text  *string `json:"data,omitempty"`
	Bytes []byte  `json:"data64,omitempty"`
	Cut   bool    `json:"cut,omitempty"`
	Size  int64   `json:"size"` // of all of it, in bytes
	// Kind is its media type, as far as its first bytes tell.
	Kind string `json:"kind"`
}

// A Hop is one run of a seed that a packet came through.
type Hop struct {
	Seed    string       `json:"seed"`
	Version string       `json:"version,omitempty"` // of the seed
	Node    string       `json:"node"`
	At      time.Time    `json:"at"`
	State   packet.State `json:"state,omitempty"` // of a tracked packet: what went in
	*Data
}

// A Family is everything that descends from the packet ID, which was in State.
type Family struct {
	State packet.State `json:"state"`
	ID    packet.ID    `json:"id"`
}

// A Fault says why a packet is in an Error: state.
type Fault struct {
	Error    string       `json:"error"`
	Output   string       `json:"output,omitempty"`
	State    packet.State `json:"state"` // what it was before
	Attempts int          `json:"attempts"`
}

// Packets are some that lie in stores.
type Packets struct {
	Packets []Packet `json:"packets"`
	// More says that there may be others.
	More bool `json:"more"`
	// Unanswered names the nodes that did not tell what lies with them.
	Unanswered []string `json:"unanswered,omitempty"`
}
