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
	hosted  []Hosted       // everything, sorted by compareHosted
	seeds   []seed.Name    // sorted
	states  []packet.State // sorted
	plants  []plant        // one for each of seeds
	places  []place        // one for each of states
	seedAt  map[seed.Name]int32
	stateAt map[packet.State]int32
	cycle   components // of what a node may move
	leads   []bitset   // for each seed, the states that it leads to
}

// A plant is one seed of the network, under one name.
type plant struct {
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
	n.plant()
	n.place()
	n.cycle = condense(n.links(true, false))
	n.lead()
	return n
}

// plant groups what is hosted by name, and settles each name's contract.
func (n *Network) plant() {
	for rest := n.hosted; len(rest) > 0; {
		name := rest[0].Manifest.Name
		end := slices.IndexFunc(rest, func(h Hosted) bool { return h.Manifest.Name != name })
		if end < 0 {
			end = len(rest)
		}
		n.seedAt[name] = int32(len(n.plants))
		n.seeds = append(n.seeds, name)
		n.plants = append(n.plants, settle(rest[:end]))
		rest = rest[end:]
	}
}

// settle is the plant of what is hosted under one name, sorted by node.
func settle(hosted []Hosted) plant {
	if hosted[0].Away {
		return plant{contract: hosted[0].Manifest.Contract}
	}
	var best plant
	var since int64
	for rest := hosted; len(rest) > 0; {
		p, oldest := plant{contract: rest[0].Manifest.Contract}, rest[0].Since
		var others []Hosted
		for _, h := range rest {
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
		rest = others
	}
	return best
}

// place collects the states, and who takes and gives them.
func (n *Network) place() {
	for _, p := range n.plants {
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
	for i := range n.plants {
		p := &n.plants[i]
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
	return n.plants[at].contract, true
}

// Replicas is where the seed can run: one for each node that hosts it with
// the contract that the network has for it, sorted by node.
func (n *Network) Replicas(name seed.Name) []Hosted {
	at, ok := n.seedAt[name]
	if !ok {
		return nil
	}
	return n.plants[at].replicas
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
