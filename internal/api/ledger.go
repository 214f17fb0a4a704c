package api

import (
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Receipt says how many of the packets that were sent are in.
type Receipt struct {
	Taken int `json:"taken"`
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
	// Filtered counts those that have ended at a seed which gave nothing for them, though its
	// contract has outputs.
	Filtered map[seed.Name]int `json:"filtered,omitempty"`
	// Held counts those of Live that are for seeds which do not run now, by why.
	Held map[string]int `json:"held,omitempty"`
}

// An Outcome is what became of a packet and all that came of it.
type Outcome struct {
	Ledger
	// Over says that nothing of it is under way any more. Else ID names the ledger in which it
	// can be asked for: GET /api/v1/ledgers/ID.
	Over bool      `json:"over"`
	ID   packet.ID `json:"ledger,omitzero"`
}
