package dtn

import (
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// The graph of a network has a vertex for each seed, 0 to len(seeds)-1, and
// behind them one for each state. A link from a state to a seed says that the
// seed accepts it, one from a seed to a state that the seed gives it. Two
// links make a hop; that way a state with a thousand givers and a thousand
// takers is two thousand links, not a million.

// vertex is the state's vertex.
func (n *Network) vertex(state int32) int32 { return int32(len(n.seeds)) + state }

// links is the graph, as each vertex's successors: with the ways into
// Error:<seed>, if failures, and with the seeds that join, if joins.
func (n *Network) links(failures, joins bool) [][]int32 {
	next := make([][]int32, len(n.seeds)+len(n.states))
	for i, p := range n.transitions {
		for _, s := range p.out {
			next[i] = append(next[i], n.vertex(s))
		}
		if s, ok := n.failure(int32(i)); failures && ok {
			next[i] = append(next[i], n.vertex(s))
		}
	}
	for i, p := range n.places {
		next[n.vertex(int32(i))] = p.runners
		if joins {
			next[n.vertex(int32(i))] = p.takers
		}
	}
	return next
}

// failure is the state that the seed's failed packets go to, if any contract
// names it.
func (n *Network) failure(i int32) (int32, bool) {
	s, ok := n.stateAt[packet.ErrorState(string(n.seeds[i]))]
	return s, ok
}

// failed is the seed whose failed packets go to the state, if s is an Error:
// state and there is that seed.
func (n *Network) failed(s packet.State) (int32, bool) {
	if s.Type() != packet.ErrorType {
		return 0, false
	}
	i, ok := n.seedAt[seed.Name(s.Name())]
	return i, ok
}
