package dtn

import (
	"fmt"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// unaccepted are the states that some seed gives and none accepts.
func (n *Network) unaccepted() []Finding {
	accepted := n.where(func(p *place) bool { return len(p.takers) > 0 })
	var found []Finding
	for i, p := range n.places {
		s := n.states[i]
		if len(p.takers) > 0 || s.Type() == packet.ErrorType {
			continue
		}
		f := n.about(Unaccepted, p.givers...)
		f.State = s
		f.Near = string(nearest(s, accepted))
		f.Text = fmt.Sprintf("%s is produced by %s and accepted by no seed%s",
			s, list(f.Seeds), hint("accepted", f.Near))
		found = append(found, f)
	}
	return found
}

// unknownSeeds are the Error: states of seeds that there are not.
func (n *Network) unknownSeeds() []Finding {
	var found []Finding
	for i := range n.places {
		s := n.states[i]
		if !n.orphan(s) {
			continue
		}
		f := n.about(UnknownSeed, n.concerned(int32(i))...)
		f.State = s
		f.Near, _ = seed.Nearest(s.Name(), texts(n.seeds))
		f.Text = fmt.Sprintf("%s is in the contract of %s, and there is no seed %s%s",
			s, list(f.Seeds), s.Name(), hint("seed", f.Near))
		found = append(found, f)
	}
	return found
}

// orphan tells whether s is the Error: state of no seed.
func (n *Network) orphan(s packet.State) bool {
	_, ok := n.failed(s)
	return s.Type() == packet.ErrorType && !ok
}

// concerned are the seeds with the state in their contracts: who takes it, or
// else who gives it.
func (n *Network) concerned(state int32) []int32 {
	if p := &n.places[state]; len(p.takers) == 0 {
		return p.givers
	}
	return n.places[state].takers
}

// where are the states whose places are as asked.
func (n *Network) where(as func(*place) bool) []packet.State {
	var states []packet.State
	for i := range n.places {
		if as(&n.places[i]) {
			states = append(states, n.states[i])
		}
	}
	return states
}
