package api

import (
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Parcel is one packet on its way into a node: its data is Text or Data.
type Parcel struct {
	ID    packet.ID    `json:"id,omitzero"`
	State packet.State `json:"state"`
	Text  *string      `json:"data,omitempty"`
	Data  []byte       `json:"data64,omitzero"` // base64
	Stop  string       `json:"stop,omitempty"`
	Goal  packet.State `json:"goal,omitempty"`
	Track bool         `json:"track,omitempty"`
	// Traceparent is where it belongs in a trace (W3C Trace Context); "" is
	// what the request's header of that name says.
	Traceparent string `json:"traceparent,omitempty"`
	// Follow names a ledger in which the packet's descendants are written
	// down.
	Follow packet.ID `json:"follow,omitzero"`
}

// A Receipt says how many of the packets that were sent are in.
type Receipt struct {
	Taken int `json:"taken"`
}

// A Sending is one packet that is sent into a state, as JSON.
type Sending struct {
	ID packet.ID `json:"id,omitzero"` // drawn if it is missing; the same again for who tries again
	// Data or Data64, the data in base64.
	Data   *string      `json:"data,omitempty"`
	Data64 []byte       `json:"data64,omitempty"`
	Stop   string       `json:"stop,omitempty"`
	Goal   packet.State `json:"goal,omitempty"`
	Track  bool         `json:"track,omitempty"`
}

// A Sent is a packet that was taken.
type Sent struct {
	ID    packet.ID    `json:"id"`
	Ship  string       `json:"ship"` // NODE:ID, the job that all that comes of it belongs to
	Node  string       `json:"node"`
	State packet.State `json:"state"`
	// Outcome is what became of it, for who asked to wait; nothing is known of a
	// packet whose id was taken before.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// An Outcome is what became of a packet and all that came of it.
type Outcome struct {
	// Over says that nothing of it is under way any more. Else Ledger names where
	// it can be asked for: GET /api/v1/ledgers/ID.
	Over   bool      `json:"over"`
	Ledger packet.ID `json:"ledger,omitzero"`
	// Live counts the packets under way, Ended the runs that are over, and Waiting
	// the packets that wait, by state: those in Error: states failed. Kept counts
	// what is kept for seeds that are away.
	Live    int                  `json:"live"`
	Ended   int                  `json:"ended"`
	Waiting map[packet.State]int `json:"waiting"`
	Kept    map[seed.Name]int    `json:"kept,omitempty"`
}

// A Ledger is what became of the packets that somebody follows.
type Ledger struct {
	// Begun counts the packets' stays at a seed or in a waiting state so far,
	// Live those at a seed that go on, and Ended those that are over.
	Begun int `json:"begun"`
	Live  int `json:"live"`
	Ended int `json:"ended"`
	// Waiting counts the packets that wait, by state; those in Error: states
	// failed.
	Waiting map[packet.State]int `json:"waiting"`
	// Kept counts those that are kept for seeds that are away, which are neither
	// Live nor Waiting.
	Kept map[seed.Name]int `json:"kept,omitempty"`
	// Filtered counts those that have ended at a seed which gave nothing for them, though its contract has
	// outputs.
	Filtered map[seed.Name]int `json:"filtered,omitempty"`
	// Held counts those of Live that are for seeds which do not run now, by why.
	Held map[string]int `json:"held,omitempty"`
}
