package dtn

import (
	"cmp"
	"slices"
)

// Findings is what is wrong with the network, sorted by file, line and kind.
// It is worked out at each call.
//
// Data comes from injectors, or from outside: pmk send and watched folders
// can give any state. In a network without an injector everything comes from
// outside, so nothing is said of states that no seed gives. In one with an
// injector it is: Ungiven, Unreachable and Incomplete.
func (n *Network) Findings() []Finding {
	var found []Finding
	found = append(found, n.clashes()...)
	found = append(found, n.unaccepted()...)
	found = append(found, n.unknownSeeds()...)
	found = append(found, n.unreached()...)
	found = append(found, n.endless()...)
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Seed, b.Seed),
			cmp.Compare(a.State, b.State),
			cmp.Compare(a.Node, b.Node),
			cmp.Compare(a.Text, b.Text),
		)
	})
	return found
}
