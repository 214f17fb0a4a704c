// Package dtn holds the automaton that a node routes by: the Data
// Transformation Network made of the contracts of all live seeds. States are
// its places, seeds are its transitions.
//
// A [Network] is a snapshot. It is built at once from what is hosted, never
// changes, and may be read by any number of goroutines; a seed that comes or
// goes makes a new one. The package is pure: it reads values and returns
// values.
//
// The automaton is looked at in three ways, which differ in the links that
// count:
//
//   - Routing ([Network.Toward], [Network.Ways]) follows the contracts of the
//     seeds that run. Joins are not run yet, so nothing leads through one, and
//     failing is no way to get anywhere, so no link leads to an Error: state.
//   - Back-pressure ([Network.SameCycle]) follows every packet that a node
//     may move: as routing, and a failed packet's way into Error:<seed>.
//   - The checks ([Network.Findings]) follow the contracts as written, joins
//     included.
package dtn

import (
	"slices"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// New builds the network of what is hosted. The order of hosted does not
// matter; New keeps the slice's elements, not the slice.
//
// Where seeds of one name have different contracts, the one that most nodes
// host is the seed's; of as many nodes the oldest; and else the one of the
// lowest node, file, line and contract, in this order. The others are hosted in
// vain and [Findings].
func New(hosted []Hosted) *Network {
	n := &Network{
		hosted:  slices.Clone(hosted),
		seedAt:  map[seed.Name]int32{},
		stateAt: map[packet.State]int32{},
	}
	for i := range n.hosted {
		n.hosted[i].Manifest.Contract = normal(n.hosted[i].Manifest.Contract)
	}
	slices.SortStableFunc(n.hosted, compareHosted)
	n.addSeeds()
	n.addStates()
	n.cycle = condense(n.links(true, false))
	n.lead()
	return n
}

// addSeeds groups what is hosted by name, and chooses each name's contract.
func (n *Network) addSeeds() {
	for left := n.hosted; len(left) > 0; {
		name := left[0].Manifest.Name
		end := slices.IndexFunc(left, func(h Hosted) bool { return h.Manifest.Name != name })
		if end < 0 {
			end = len(left)
		}
		n.seedAt[name] = int32(len(n.transitions))
		n.seeds = append(n.seeds, name)
		n.transitions = append(n.transitions, choose(left[:end]))
		left = left[end:]
	}
}

// choose is the transition of what is hosted under one name, sorted by node.
func choose(hosted []Hosted) transition {
	if hosted[0].Away {
		return transition{contract: hosted[0].Manifest.Contract}
	}
	var best transition
	var since int64
	for left := hosted; len(left) > 0; {
		p, oldest := transition{contract: left[0].Manifest.Contract}, left[0].Since
		var others []Hosted
		for _, h := range left {
			if compareContract(p.contract, h.Manifest.Contract) != 0 {
				others = append(others, h)
				continue
			}
			oldest = min(oldest, h.Since)
			// A second one on a node follows the first at once.
			if last := len(p.replicas) - 1; last < 0 || p.replicas[last].Node != h.Node {
				p.replicas = append(p.replicas, h)
			}
		}
		if more := len(p.replicas) - len(best.replicas); more > 0 || more == 0 && oldest < since {
			best, since = p, oldest
		}
		left = others
	}
	return best
}

// addStates collects the states, and who takes and gives them.
func (n *Network) addStates() {
	for _, p := range n.transitions {
		n.states = append(append(n.states, p.contract.In...), p.contract.Out...)
	}
	slices.Sort(n.states)
	n.states = slices.Compact(n.states)
	for i, s := range n.states {
		n.stateAt[s] = int32(i)
	}
	n.places = make([]place, len(n.states))
	for i, s := range n.states {
		n.places[i].state = s
	}
	for i := range n.transitions {
		p := &n.transitions[i]
		for _, s := range p.contract.In {
			at := n.stateAt[s]
			p.in = append(p.in, at)
			to := &n.places[at]
			to.takers = append(to.takers, int32(i))
			if !p.contract.Join {
				to.runners = append(to.runners, int32(i))
				to.routes = append(to.routes, n.seeds[i])
			}
		}
		for _, s := range p.contract.Out {
			at := n.stateAt[s]
			p.out = append(p.out, at)
			n.places[at].givers = append(n.places[at].givers, int32(i))
		}
	}
}
