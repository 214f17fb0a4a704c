package api

import (
	"time"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Packets are some that lie in stores.
type Packets struct {
	Packets []Packet `json:"packets"`
	// More says that there may be others.
	More bool `json:"more"`
	// Unanswered names the nodes that did not tell what lies with them.
	Unanswered []string `json:"unanswered,omitempty"`
}

// A Packet is one that lies in a node's store.
type Packet struct {
	ID    packet.ID    `json:"id"`
	Ship  string       `json:"ship"` // NODE:ID
	State packet.State `json:"state"`
	Node  string       `json:"node"` // in whose store it lies
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
	Deadline    *time.Time        `json:"deadline,omitempty"`
	Data        Data              `json:"data"`
}

// A Hop is one run of a seed that a packet came through.
type Hop struct {
	Seed    string       `json:"seed"`
	Version string       `json:"version,omitempty"` // of the seed
	Node    string       `json:"node"`
	At      time.Time    `json:"at"`
	State   packet.State `json:"state,omitempty"` // of a tracked packet: what went in
	Data    *Data        `json:"data,omitempty"`
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

// Data is some data and what it seems to be.
type Data struct {
	Size int64 `json:"size"` // of all of it, in bytes
	// Kind is its media type, as far as its first bytes tell.
	Kind string `json:"kind"`
	// Text is the data where it is UTF-8; else Base64 is. Cut says that it is
	// only the beginning.
	Text   *string `json:"text,omitempty"`
	Base64 *string `json:"base64,omitempty"`
	Cut    bool    `json:"cut,omitempty"`
}

// Shown is a packet that waits.
type Shown struct {
	// Node is where it waits.
	Node string      `json:"node"`
	File packet.File `json:"packet"`
	// Large is the size in bytes of data that is too large to be shown.
	Large int64 `json:"large,omitempty"`
}
