package dtn

import (
	"slices"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Toward is those of [Network.Routes] of s that lead to goal: some output is
// goal, or leads there. It allocates nothing. A packet that is at its goal
// already is not treated apart: Toward(g, g) is what leads from g back to g.
func (n *Network) Toward(goal, s packet.State) []seed.Name {
	to, ok := n.stateAt[goal]
	if !ok {
		return nil
	}
	at, ok := n.stateAt[s]
	if !ok {
		return nil
	}
	p := &n.places[at]
	if some, ok := p.some[to]; ok {
		return some
	}
	// All of them lead there, or none.
	if len(p.runners) > 0 && n.leads[p.runners[0]].has(to) {
		return p.routes
	}
	return nil
}

// lead works out which states each seed leads to, and for each state the
// goals that part its routes. Components come in an order in which what a
// vertex links to is known before it, so one pass will do.
func (n *Network) lead() {
	next := n.links(false, false)
	parts := condense(next)
	reach := make([]bitset, len(parts.members))
	for c, members := range parts.members {
		reach[c] = newBitset(len(n.states))
		for _, v := range members {
			for _, w := range next[v] {
				if state := w - int32(len(n.seeds)); state >= 0 {
					reach[c].add(state)
				}
				if d := parts.of[w]; int(d) != c {
					reach[c].union(reach[d])
				}
			}
		}
	}
	n.leads = make([]bitset, len(n.seeds))
	for i := range n.seeds {
		n.leads[i] = reach[parts.of[i]]
	}
	for i := range n.places {
		n.part(&n.places[i])
	}
}

// part fills p.some. Goals that part the routes alike share one slice.
func (n *Network) part(p *place) {
	if len(p.runners) < 2 {
		return
	}
	mixed := slices.Clone(n.leads[p.runners[0]]) // in some, not in all
	for w := range mixed {
		all, some := mixed[w], mixed[w]
		for _, r := range p.runners {
			all &= n.leads[r][w]
			some |= n.leads[r][w]
		}
		mixed[w] = some &^ all
	}
	shared := map[string][]seed.Name{}
	key := make([]byte, len(p.runners))
	mixed.each(func(goal int32) {
		for i, r := range p.runners {
			key[i] = 0
			if n.leads[r].has(goal) {
				key[i] = 1
			}
		}
		names, ok := shared[string(key)]
		if !ok {
			for i, yes := range key {
				if yes == 1 {
					names = append(names, p.routes[i])
				}
			}
			shared[string(key)] = names
		}
		if p.some == nil {
			p.some = map[int32][]seed.Name{}
		}
		p.some[goal] = names
	})
}
