package dtn

import (
	"fmt"
	"slices"
)

// endless are the cycles that no packet leaves: no seed in the cycle gives a
// state that the cycle does not take, and no state of it is accepted outside.
// Failing is not counted as leaving.
func (n *Network) endless() []Finding {
	next := n.links(false, true)
	parts := condense(next)
	var found []Finding
	for c, members := range parts.members {
		if len(members) < 2 || n.leaves(next, parts, int32(c)) {
			continue
		}
		var seeds []int32
		for _, v := range members {
			if int(v) < len(n.seeds) {
				seeds = append(seeds, v)
			}
		}
		slices.Sort(seeds)
		f := n.about(Endless, seeds...)
		f.State = n.transitions[seeds[0]].contract.Out[0]
		f.Text = fmt.Sprintf("the cycle of %s has no way out: what it gives, no other seed accepts", list(f.Seeds))
		if len(seeds) == 1 {
			f.Text = fmt.Sprintf("%s feeds itself, and no other seed accepts what it gives", f.Seed)
		}
		found = append(found, f)
	}
	return found
}

// leaves tells whether some link leads out of the component. From a seed, it
// leads to a state that nobody in the cycle takes; from a state, to a seed
// outside.
func (n *Network) leaves(next [][]int32, parts components, c int32) bool {
	for _, v := range parts.members[c] {
		for _, w := range next[v] {
			if parts.of[w] != c {
				return true
			}
		}
	}
	return false
}
