package dtn

import (
	"slices"
	"strings"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Hosted is a seed as one node hosts it.
type Hosted struct {
	Node     string
	Manifest seed.Manifest
	// Since orders seeds of one name and different contracts by age: the lower
	// is the older.
	Since int64
	// Away: the seed is an acceptor, though no node hosts it now. It is no
	// replica. No seed of the name is hosted beside.
	Away bool
}

// A Network is the automaton of a set of hosted seeds. It is immutable and
// safe for concurrent use; the slices that its methods return are shared and
// not to be changed.
type Network struct {
	hosted      []Hosted       // everything, sorted by compareHosted
	seeds       []seed.Name    // sorted
	states      []packet.State // sorted
	transitions []transition   // one for each of seeds
	places      []place        // one for each of states
	seedAt      map[seed.Name]int32
	stateAt     map[packet.State]int32
	cycle       components // of what a node may move
	leads       []bitset   // for each seed, the states that it leads to
}

// A transition is one seed of the network, under one name.
type transition struct {
	contract seed.Contract // normal: sorted, nothing twice
	replicas []Hosted      // with that contract, one a node
	in, out  []int32       // states
}

// A place is one state of the network.
type place struct {
	state  packet.State
	takers []int32 // seeds that accept the state, joins included
	givers []int32 // seeds whose contract gives the state
	// runners are the takers that run, which is all but the joins; routes
	// are their names.
	runners []int32
	routes  []seed.Name
	// some holds, for each goal that some of routes lead to and others do
	// not, those that do.
	some map[int32][]seed.Name
}

// Routes is every seed that accepts s, sorted; nil when there is none. Seeds
// with a join are left out: joins are not run yet. It allocates nothing.
func (n *Network) Routes(s packet.State) []seed.Name {
	at, ok := n.stateAt[s]
	if !ok {
		return nil
	}
	return n.places[at].routes
}

// SameCycle tells whether packets can go round from seed a through seed b and
// back to a, failures and repairs included. For a seed and itself: whether it
// feeds itself.
func (n *Network) SameCycle(a, b seed.Name) bool {
	i, ok := n.seedAt[a]
	if !ok {
		return false
	}
	j, ok := n.seedAt[b]
	if !ok {
		return false
	}
	return n.cycle.of[i] == n.cycle.of[j] && n.cycle.size(n.cycle.of[i]) > 1
}

// Seeds is the name of every seed, sorted.
func (n *Network) Seeds() []seed.Name { return n.seeds }

// States is every state that some contract names, sorted.
func (n *Network) States() []packet.State { return n.states }

// Contract is the contract that the network has for the seed, each side
// sorted; false for a seed that it does not know.
func (n *Network) Contract(name seed.Name) (seed.Contract, bool) {
	at, ok := n.seedAt[name]
	if !ok {
		return seed.Contract{}, false
	}
	return n.transitions[at].contract, true
}

// Replicas is where the seed can run: one for each node that hosts it with
// the contract that the network has for it, sorted by node.
func (n *Network) Replicas(name seed.Name) []Hosted {
	at, ok := n.seedAt[name]
	if !ok {
		return nil
	}
	return n.transitions[at].replicas
}

// normal is the contract with both sides sorted and nothing twice, so that
// contracts which say the same are the same.
func normal(c seed.Contract) seed.Contract {
	c.In = slices.Compact(slices.Sorted(slices.Values(c.In)))
	c.Out = slices.Compact(slices.Sorted(slices.Values(c.Out)))
	c.Join = c.Join && len(c.In) > 1
	return c
}

func compareContract(a, b seed.Contract) int {
	switch {
	case a.Join != b.Join && a.Join:
		return 1
	case a.Join != b.Join:
		return -1
	}
	if c := slices.Compare(a.In, b.In); c != 0 {
		return c
	}
	return slices.Compare(a.Out, b.Out)
}

// compareHosted is the documented order of [New], and beyond it whatever
// keeps the order of equals from mattering.
func compareHosted(a, b Hosted) int {
	for _, pair := range [...][2]string{
		{string(a.Manifest.Name), string(b.Manifest.Name)},
		{a.Node, b.Node},
		{a.Manifest.File, b.Manifest.File},
	} {
		if c := strings.Compare(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	if c := a.Manifest.Line - b.Manifest.Line; c != 0 {
		return c
	}
	if c := compareContract(a.Manifest.Contract, b.Manifest.Contract); c != 0 {
		return c
	}
	return strings.Compare(a.Manifest.Version, b.Manifest.Version)
}
