package dtn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Gap says why there is no way from one state to another.
type Gap struct {
	From, To packet.State
	// NearFrom and NearTo are the states that From and To were perhaps
	// meant to be, "" for none. They are looked for only where From is
	// accepted by no seed, or To is given by none.
	NearFrom, NearTo packet.State
	// Reached are the states that can be reached from From, Leading those
	// that lead to To, both sorted and without From and To themselves.
	Reached, Leading []packet.State
	// Joins are the seeds that would lead on if joins were run.
	Joins []seed.Name
	// Missing is a contract of a seed that would close the gap: from a
	// state that is reached to one that leads on, the two with the nearest
	// names, or else From and To.
	Missing seed.Contract
}

// WhyNot is what is missing on the way from one state to another; nil when
// [Network.Ways] has one.
func (n *Network) WhyNot(from, to packet.State) *Gap {
	if from == to && n.knows(from) {
		return nil
	}
	next := n.links(false, false)
	reached, leading := n.around(next, from), n.around(reverse(next), to)
	if slices.Contains(reached, to) {
		return nil
	}
	g := &Gap{From: from, To: to, Reached: without(reached, from), Leading: without(leading, to)}
	if len(n.Routes(from)) == 0 {
		g.NearFrom = nearest(from, n.where(func(p *place) bool { return len(p.runners) > 0 }))
	}
	if !n.gives(to) {
		g.NearTo = nearest(to, n.where(func(p *place) bool { return len(p.givers) > 0 }))
	}
	g.Joins = n.joinsBetween(g)
	g.Missing = g.bridge()
	return g
}

func (n *Network) knows(s packet.State) bool {
	_, ok := n.stateAt[s]
	return ok
}

// gives tells whether some seed gives s.
func (n *Network) gives(s packet.State) bool {
	at, ok := n.stateAt[s]
	return ok && len(n.places[at].givers) > 0
}

// around are the states that can be reached from s along next, s included if
// the network knows it.
func (n *Network) around(next [][]int32, s packet.State) []packet.State {
	at, ok := n.stateAt[s]
	if !ok {
		return nil
	}
	var states []packet.State
	spread(next, n.vertex(at)).each(func(v int32) {
		if state := int(v) - len(n.seeds); state >= 0 {
			states = append(states, n.states[state])
		}
	})
	return states
}

func without(states []packet.State, s packet.State) []packet.State {
	return slices.DeleteFunc(states, func(t packet.State) bool { return t == s })
}

// joinsBetween are the joins that take what is reached and give what leads on.
func (n *Network) joinsBetween(g *Gap) []seed.Name {
	var names []seed.Name
	for i, p := range n.transitions {
		if p.contract.Join &&
			overlap(p.contract.In, append([]packet.State{g.From}, g.Reached...)) &&
			overlap(p.contract.Out, append([]packet.State{g.To}, g.Leading...)) {
			names = append(names, n.seeds[i])
		}
	}
	return names
}

func overlap(a, b []packet.State) bool {
	return slices.ContainsFunc(a, func(s packet.State) bool { return slices.Contains(b, s) })
}

// bridge is the contract that would close the gap: between near names, since
// a gap is often a misspelt state, or else all the way.
func (g *Gap) bridge() seed.Contract {
	leading := append([]packet.State{g.To}, g.Leading...)
	for _, s := range append([]packet.State{g.From}, g.Reached...) {
		if t := nearest(s, leading); t != "" && t != s {
			return seed.Contract{In: []packet.State{s}, Out: []packet.State{t}}
		}
	}
	return seed.Contract{In: []packet.State{g.From}, Out: []packet.State{g.To}}
}

// String says it in a few lines for people, the next step last.
func (g *Gap) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no path from %s to %s\n", g.From, g.To)
	if len(g.Reached) > 0 {
		fmt.Fprintf(&b, "%s can reach: %s\n", g.From, list(g.Reached))
	} else {
		fmt.Fprintf(&b, "%s reaches nothing%s\n", g.From, hint("accepted", string(g.NearFrom)))
	}
	if len(g.Leading) > 0 {
		fmt.Fprintf(&b, "states that lead to %s: %s\n", g.To, list(g.Leading))
	} else {
		fmt.Fprintf(&b, "nothing leads to %s%s\n", g.To, hint("produced", string(g.NearTo)))
	}
	if len(g.Joins) > 0 {
		fmt.Fprintf(&b, "%s would lead on, but joins are not run yet\n", list(g.Joins))
	}
	fmt.Fprintf(&b, "missing: a seed %s", g.Missing)
	return b.String()
}
