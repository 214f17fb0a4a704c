package draw

import (
	"slices"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A vertex is a seed or a state in a drawing.
type vertex struct {
	label  string
	title  string // more of it, for where there is room
	seed   bool
	marked bool // there is a finding about it
	inline bool // a state that is written on the line
	entry  bool // a state that no seed gives
	out    []int
	in     []int // edges
}

// An edge leads from a seed to a state or from a state to a seed.
type edge struct {
	from, to int
	failure  bool // the way of packets that failed
	back     bool // closes a cycle; set by layering
}

// A graph is one connected part of a network. Vertices stand in the order of
// the network: seeds by name, then states by name.
type graph struct {
	vertices []vertex
	edges    []edge
}

// graphs are the connected parts of a network, in the order of their first
// seeds.
func graphs(n *dtn.Network, m marks) []graph {
	whole := model(n, m)
	part := make([]int, len(whole.vertices)) // 0: not known yet
	var parts []graph
	for first := range whole.vertices {
		if part[first] != 0 {
			continue
		}
		part[first] = len(parts) + 1
		var members []int
		for queue := []int{first}; len(queue) > 0; {
			v := queue[0]
			queue = queue[1:]
			members = append(members, v)
			for _, e := range slices.Concat(whole.vertices[v].in, whole.vertices[v].out) {
				for _, w := range []int{whole.edges[e].from, whole.edges[e].to} {
					if part[w] == 0 {
						part[w] = part[first]
						queue = append(queue, w)
					}
				}
			}
		}
		slices.Sort(members)
		parts = append(parts, whole.only(members))
	}
	return parts
}

// only is the graph of these vertices, which are all that they link to.
func (g *graph) only(members []int) graph {
	var part graph
	at := map[int]int{}
	for _, v := range members {
		at[v] = len(part.vertices)
		moved := g.vertices[v]
		moved.in, moved.out = nil, nil
		part.vertices = append(part.vertices, moved)
	}
	for _, v := range members {
		for _, e := range g.vertices[v].out {
			old := g.edges[e]
			part.link(at[old.from], at[old.to], old.failure)
		}
	}
	return part
}

func (g *graph) link(from, to int, failure bool) {
	g.vertices[from].out = append(g.vertices[from].out, len(g.edges))
	g.vertices[to].in = append(g.vertices[to].in, len(g.edges))
	g.edges = append(g.edges, edge{from: from, to: to, failure: failure})
}

// model is the network as one graph.
func model(n *dtn.Network, m marks) graph {
	var g graph
	seedAt := map[seed.Name]int{}
	for _, name := range n.Seeds() {
		seedAt[name] = len(g.vertices)
		c, _ := n.Contract(name)
		g.vertices = append(g.vertices, vertex{
			label: seedLabel(n, name, m), title: clean(c.String()), seed: true, marked: m.seeds[name],
		})
	}
	stateAt := map[packet.State]int{}
	for _, s := range n.States() {
		stateAt[s] = len(g.vertices)
		g.vertices = append(g.vertices, vertex{label: stateLabel(s, m), title: clean(string(s)), marked: m.states[s]})
	}
	failed := func(s packet.State) bool {
		_, ok := seedAt[seed.Name(s.Name())]
		return ok && s.Type() == packet.ErrorType
	}
	for _, name := range n.Seeds() {
		c, _ := n.Contract(name)
		for _, s := range c.In {
			g.link(stateAt[s], seedAt[name], failed(s))
		}
		for _, s := range c.Out {
			g.link(seedAt[name], stateAt[s], false)
		}
		s := packet.ErrorState(string(name))
		if at, ok := stateAt[s]; ok && !c.Gives(s) {
			g.link(seedAt[name], at, true)
		}
	}
	for i := range g.vertices {
		v := &g.vertices[i]
		v.inline = !v.seed && !v.marked && len(v.in) == 1 && len(v.out) == 1
		v.entry = !v.seed && len(v.in) == 0
	}
	return g
}
