package web

import (
	"maps"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

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
	Node        string           `json:"node"`
	Version     string           `json:"version,omitempty"`
	File        string           `json:"file,omitempty"`
	Since       time.Time        `json:"since"`
	In          uint64           `json:"in"`
	Out         uint64           `json:"out"`
	Failed      uint64           `json:"failed"`
	Queued      int              `json:"queued"`
	QueuedBytes int              `json:"queued_bytes"`
	Stored      int              `json:"stored"`
	Running     int              `json:"running"`
	Workers     int              `json:"workers"`
	Cost        time.Duration    `json:"cost_ns"`
	Prediction  predict.Line     `json:"prediction"` // of the cost by size
	Paused      bool             `json:"paused,omitempty"`
	Loading     bool             `json:"loading,omitempty"`
	NotLoaded   string           `json:"not_loaded,omitempty"`
	Interpreter string           `json:"interpreter,omitempty"`
	Silent      string           `json:"silent,omitempty"`
	Errors      []node.SeedError `json:"errors,omitempty"`
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

// sum works out the seeds and states of the network from what its nodes do.
func (all *Network) sum() {
	seeds := map[seed.Name]*Seed{}
	costs := map[seed.Name]int{} // replicas that know theirs
	for i := range all.Nodes {
		m := &all.Nodes[i]
		for k := range m.Seeds {
			s := &m.Seeds[k]
			name := s.Manifest.Name
			if seeds[name] == nil {
				seeds[name] = newSeed(s.Manifest)
			}
			seeds[name].add(m.Node, s)
			if s.Cost > 0 {
				costs[name]++
				seeds[name].Cost += s.Cost
			}
		}
	}
	for _, a := range all.Ahead {
		if s := seeds[a.Seed]; s != nil {
			s.Ahead, s.Drain, s.DrainError = a.Packets, a.Drain.Time, a.Drain.Error
		}
	}
	all.Seeds = []Seed{}
	for _, name := range slices.Sorted(maps.Keys(seeds)) {
		s := seeds[name]
		if costs[name] > 0 {
			s.Cost /= time.Duration(costs[name])
		}
		all.Seeds = append(all.Seeds, *s)
	}
	all.sumStates()
}

func newSeed(m seed.Manifest) *Seed {
	return &Seed{
		SeedCounters: SeedCounters{Name: m.Name, InStates: map[packet.State]uint64{}, OutStates: map[packet.State]uint64{}},
		About:        m.About, Kind: m.Kind, Contract: m.Contract, Join: m.Contract.Join,
		Inputs: append([]packet.State{}, m.Contract.In...), Outputs: append([]packet.State{}, m.Contract.Out...),
	}
}

// add adds what one node does.
func (s *Seed) add(at string, r *node.SeedStatus) {
	s.In += r.In
	s.Out += r.Out
	s.Failed += r.Failed
	s.GaveUp += r.GaveUp
	s.Filtered += r.Filtered
	for state, n := range r.InStates {
		s.InStates[state] += n
	}
	for state, n := range r.OutStates {
		s.OutStates[state] += n
	}
	s.Running += r.Running
	s.Workers += r.Workers
	if r.Paused {
		s.Paused++
	}
	s.Replicas = append(s.Replicas, Replica{
		Node: at, Version: r.Manifest.Version, File: r.Manifest.File, Since: r.Since, In: r.In, Out: r.Out, Failed: r.Failed,
		Queued: r.Queued, QueuedBytes: r.QueuedBytes, Stored: r.Stored, Running: r.Running, Workers: r.Workers, Cost: r.Cost, Prediction: r.Prediction,
		Paused: r.Paused, Loading: r.Loading, NotLoaded: r.NotLoaded, Interpreter: r.Interpreter, Silent: r.Silent, Errors: r.Errors,
	})
}

// sumStates works out the states from the seeds.
func (all *Network) sumStates() {
	states := map[packet.State]*State{}
	at := func(s packet.State) *State {
		if states[s] == nil {
			states[s] = &State{StateCounters: StateCounters{State: s}, Producers: []seed.Name{}, Acceptors: []seed.Name{}}
		}
		return states[s]
	}
	var accepted []string
	for i := range all.Seeds {
		s := &all.Seeds[i]
		for _, in := range s.Inputs {
			at(in).Acceptors = append(at(in).Acceptors, s.Name)
			accepted = append(accepted, string(in))
		}
		for _, out := range s.Outputs {
			at(out).Producers = append(at(out).Producers, s.Name)
		}
	}
	for _, m := range all.Nodes {
		for _, w := range m.Waiting {
			if w.State != "" {
				at(w.State).wait(m.Node, w)
			}
		}
	}
	for i := range all.Seeds {
		if s := states[packet.ErrorState(string(all.Seeds[i].Name))]; s != nil {
			s.Producers = append(s.Producers, all.Seeds[i].Name)
		}
	}
	all.States = []State{}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		s := states[state]
		if len(s.Acceptors) == 0 {
			if near, ok := seed.Nearest(string(state), accepted); ok {
				s.Nearest = packet.State(near)
			}
		}
		all.States = append(all.States, *s)
	}
}

// wait adds what waits on one node.
func (s *State) wait(at string, w node.Waiting) {
	s.Waiting += w.Packets
	s.Bytes += w.Bytes
	if s.Since.IsZero() || w.Since.Before(s.Since) {
		s.Since = w.Since
	}
	s.Why = w.Why
	if s.Nodes == nil {
		s.Nodes = map[string]int{}
	}
	s.Nodes[at] += w.Packets
}
