package api

import (
	"time"

	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Network is what every node does, the one that was asked first.
type Network struct {
	Nodes []Member `json:"nodes"`
	// Seeds and States are what the nodes do together, by name.
	Seeds  []Seed  `json:"seeds"`
	States []State `json:"states"`
	// Ahead is what lies before the seeds, by name.
	Ahead     []Ahead    `json:"ahead"`
	Outsiders []Outsider `json:"outsiders,omitempty"`
	// Ignored is what came without the key to the node that was asked.
	Ignored Ignored `json:"ignored,omitzero"`
	// Copied says what the data folder of the node that was asked is a copy of, so that it runs
	// nothing of what lies there.
	Copied string `json:"copied,omitempty"`
}

// A Member is one node of the network.
type Member struct {
	Status
	// At is how it is reached; "" for the node that was asked.
	At string `json:"at,omitempty"`
	// Trouble says why the status is only what the node has said of itself
	// before: it does not answer.
	Trouble string `json:"trouble,omitempty"`
	// Seen is when it answered last; zero if it never has.
	Seen time.Time `json:"seen,omitzero"`
}

// A Seed is what all replicas of one seed do together.
type Seed struct {
	SeedCounters
	About    string        `json:"about,omitempty"`
	Kind     seed.Kind     `json:"kind"`
	Contract seed.Contract `json:"contract"`
	// Inputs and Outputs are the states of the contract, Join says that all of
	// the inputs make one run.
	Inputs   []packet.State `json:"inputs"`
	Outputs  []packet.State `json:"outputs"`
	Join     bool           `json:"join,omitempty"`
	Replicas []Replica      `json:"replicas"`
}

// SeedCounters are what changes of a [Seed] while packets move.
type SeedCounters struct {
	Name seed.Name `json:"name"`
	// In counts the packets taken, Out those given, Failed the runs that failed,
	// GaveUp the packets that went to Error:NAME, Filtered those for which it gave
	// nothing though its contract has outputs.
	In       uint64 `json:"in"`
	Out      uint64 `json:"out"`
	Failed   uint64 `json:"failed"`
	GaveUp   uint64 `json:"gave_up"`
	Filtered uint64 `json:"filtered,omitempty"`
	// InStates and OutStates are In and Out by state.
	InStates  map[packet.State]uint64 `json:"in_states"`
	OutStates map[packet.State]uint64 `json:"out_states"`
	// Ahead are the packets in its inboxes and queues, what runs included.
	Ahead   int `json:"ahead"`
	Running int `json:"running"`
	Workers int `json:"workers"`
	// Cost is about what one packet takes, the mean of the replicas; Drain how
	// long they need for all that is ahead if nothing more comes, and DrainError the
	// usual error of that as a part of it. 0 is not known.
	Cost       time.Duration `json:"cost_ns"`
	Drain      time.Duration `json:"drain_ns"`
	DrainError float64       `json:"drain_error"`
	// Paused counts the replicas that are.
	Paused int `json:"paused"`
}

// A Replica is a seed on one node.
type Replica struct {
	Node    string `json:"node"`
	Version string `json:"version,omitempty"`
	File    string `json:"file,omitempty"`
	Figures
}

// A State is one state of the network: of a contract, or with packets that wait.
type State struct {
	StateCounters
	// Producers are the seeds that give it, for Error:NAME the seed of that name;
	// Acceptors those that take it.
	Producers []seed.Name `json:"producers"`
	Acceptors []seed.Name `json:"acceptors"`
	// Why says why what waits does.
	Why string `json:"why,omitempty"`
	// Nearest is the accepted state that may have been meant, where none accepts
	// this one.
	Nearest packet.State `json:"nearest,omitempty"`
	// Nodes says where how many wait.
	Nodes map[string]int `json:"nodes,omitempty"`
}

// StateCounters are what changes of a [State] while packets move: how many wait in
// it, with their size and since when.
type StateCounters struct {
	State   packet.State `json:"state"`
	Waiting int          `json:"waiting"`
	Bytes   int64        `json:"bytes"`
	Since   time.Time    `json:"since,omitzero"`
}

// Ahead is what lies before a seed, on all nodes together.
type Ahead struct {
	Seed seed.Name `json:"seed"`
	// Packets lie in its queues and inboxes, Bytes is about how much data they
	// have.
	Packets int   `json:"packets"`
	Bytes   int64 `json:"bytes"`
	// Drain is how long its replicas need for them, if nothing comes meanwhile.
	Drain predict.Drain `json:"drain"`
}

// An Outsider is a node that was seen and is not reached, or that does not reach the node
// that was asked.
type Outsider struct {
	Node   string    `json:"node,omitempty"` // as far as it was said
	Boot   packet.ID `json:"boot,omitzero"`  // likewise
	At     string    `json:"at"`
	By     string    `json:"by"`     // how it was learnt of: one of mesh's sources
	Reason string    `json:"reason"` // one of mesh's reasons
	// Why says the reason for people, and Next what they can do about it.
	Why  string `json:"why"`
	Next string `json:"next,omitempty"`
	// Stranger: only a beacon without this network's key tells of it, so it may belong to
	// another network.
	Stranger bool `json:"stranger,omitempty"`
	// Since is from when on the reason holds, and Seen when there was last a sign of it.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
}

// Ignored counts what came without the network's key since the node started.
type Ignored struct {
	Connections int64 `json:"connections"`
	Beacons     int64 `json:"beacons"`
}

// Changes is what has happened between two looks at the network.
type Changes struct {
	At      time.Time `json:"at"`
	Changes []Change  `json:"changes"`
}

// A Change is one thing that has happened: to a node, to a seed on a node, or to a
// state.
type Change struct {
	Kind string `json:"kind"` // node, seed, state
	// Change is came, gone; of a node also leaving, silent, answers; of a seed
	// changed, paused, resumed, failed; of a state waits and cleared.
	Change string       `json:"change"`
	Node   string       `json:"node,omitempty"`
	Seed   seed.Name    `json:"seed,omitempty"`
	State  packet.State `json:"state,omitempty"`
	Text   string       `json:"text,omitempty"` // for people
}

// Counters are the seeds, states and nodes whose counts have changed.
type Counters struct {
	At     time.Time       `json:"at"`
	Seeds  []SeedCounters  `json:"seeds"`
	States []StateCounters `json:"states"`
	Nodes  []NodeCounters  `json:"nodes,omitempty"`
}

// NodeCounters are how a node does.
type NodeCounters struct {
	Node string `json:"node"`
	Load Load   `json:"load"`
	Used int64  `json:"used"` // bytes in its store
}
