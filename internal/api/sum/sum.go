// Package sum adds up what the nodes of a network do: seeds over their replicas, states over the
// nodes where packets wait, what lies before a seed and how long that takes; and what is new
// between two looks. All of it is pure: values of package api in, values out.
package sum

import (
	"maps"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Of is the network of these nodes, the one that was asked first.
func Of(nodes []api.Member) api.Network {
	all := api.Network{Nodes: nodes, Ahead: Ahead(nodes)}
	all.Seeds = seedsOf(nodes, all.Ahead)
	all.States = statesOf(nodes, all.Seeds)
	return all
}

// seedsOf adds up the seeds, by name.
func seedsOf(nodes []api.Member, ahead []api.Ahead) []api.Seed {
	seeds := map[seed.Name]*api.Seed{}
	costs := map[seed.Name]int{} // replicas that know theirs
	for i := range nodes {
		m := &nodes[i]
		for k := range m.Seeds {
			s := &m.Seeds[k]
			name := s.Manifest.Name
			if seeds[name] == nil {
				seeds[name] = newSeed(s.Manifest)
			}
			addReplica(seeds[name], m.Node, s)
			if s.Cost > 0 {
				costs[name]++
				seeds[name].Cost += s.Cost
			}
		}
	}
	for _, a := range ahead {
		if s := seeds[a.Seed]; s != nil {
			s.Ahead, s.Drain, s.DrainError = a.Packets, a.Drain.Time, a.Drain.Error
		}
	}
	out := []api.Seed{}
	for _, name := range slices.Sorted(maps.Keys(seeds)) {
		s := seeds[name]
		if costs[name] > 0 {
			s.Cost /= time.Duration(costs[name])
		}
		out = append(out, *s)
	}
	return out
}

func newSeed(m seed.Manifest) *api.Seed {
	return &api.Seed{
		SeedCounters: api.SeedCounters{Name: m.Name, InStates: map[packet.State]uint64{}, OutStates: map[packet.State]uint64{}},
		About:        m.About, Kind: m.Kind, Contract: m.Contract, Join: m.Contract.Join,
		Inputs: append([]packet.State{}, m.Contract.In...), Outputs: append([]packet.State{}, m.Contract.Out...),
	}
}

// addReplica adds what one node does.
func addReplica(s *api.Seed, at string, r *api.SeedStatus) {
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
	s.Replicas = append(s.Replicas, api.Replica{Node: at, Version: r.Manifest.Version, File: r.Manifest.File, Figures: r.Figures})
}

// statesOf adds up the states of the contracts, and those with packets that wait, by name.
func statesOf(nodes []api.Member, seeds []api.Seed) []api.State {
	states := map[packet.State]*api.State{}
	at := func(s packet.State) *api.State {
		if states[s] == nil {
			states[s] = &api.State{StateCounters: api.StateCounters{State: s}, Producers: []seed.Name{}, Acceptors: []seed.Name{}}
		}
		return states[s]
	}
	var accepted []string
	for i := range seeds {
		s := &seeds[i]
		for _, in := range s.Inputs {
			at(in).Acceptors = append(at(in).Acceptors, s.Name)
			accepted = append(accepted, string(in))
		}
		for _, out := range s.Outputs {
			at(out).Producers = append(at(out).Producers, s.Name)
		}
	}
	for _, m := range nodes {
		for _, w := range m.Waiting {
			if w.State != "" {
				addWaiting(at(w.State), m.Node, w)
			}
		}
	}
	for i := range seeds {
		if s := states[packet.ErrorState(string(seeds[i].Name))]; s != nil {
			s.Producers = append(s.Producers, seeds[i].Name)
		}
	}
	out := []api.State{}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		s := states[state]
		if len(s.Acceptors) == 0 {
			if near, ok := seed.Nearest(string(state), accepted); ok {
				s.Nearest = packet.State(near)
			}
		}
		out = append(out, *s)
	}
	return out
}

// addWaiting adds what waits on one node.
func addWaiting(s *api.State, at string, w api.Waiting) {
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
