// Package draw draws a network: as Unicode boxes for a terminal, as SVG, as
// DOT and Mermaid text, and as JSON for other programs. It computes and writes;
// names are escaped wherever they come to stand.
package draw

import (
	"fmt"
	"slices"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A graph is what every drawing starts from: seeds as data flows through them,
// and who gives and takes each state.
type graph struct {
	seeds  []transition
	states []packet.State
	givers map[packet.State][]seed.Name
	takers map[packet.State][]seed.Name
	loose  map[packet.State]bool // given and taken by none
}

// A transition is one seed.
type transition struct {
	name     seed.Name
	contract seed.Contract
	replicas []dtn.Hosted
}

// label is the seed's name, with how many replicas there are, and a mark of a
// join.
func (t transition) label() string {
	text := string(t.name)
	if t.contract.Join {
		text = "& " + text
	}
	if len(t.replicas) > 1 {
		text += fmt.Sprintf(" ×%d", len(t.replicas))
	}
	return text
}

func newGraph(n *dtn.Network) *graph {
	g := &graph{
		givers: map[packet.State][]seed.Name{}, takers: map[packet.State][]seed.Name{}, loose: map[packet.State]bool{},
	}
	for _, name := range n.Seeds() {
		c, _ := n.Contract(name) // of a seed of the network
		g.seeds = append(g.seeds, transition{name, c, n.Replicas(name)})
		for _, s := range c.In {
			g.takers[s] = append(g.takers[s], name)
		}
		for _, s := range c.Out {
			g.givers[s] = append(g.givers[s], name)
		}
	}
	for _, t := range g.seeds {
		for _, s := range append(slices.Clone(t.contract.In), t.contract.Out...) {
			if !slices.Contains(g.states, s) {
				g.states = append(g.states, s)
			}
			g.loose[s] = len(g.takers[s]) == 0
		}
	}
	slices.Sort(g.states)
	g.order()
	return g
}

// layers is how far each seed is from where data comes in: 0 for injectors and
// for seeds that no seed gives anything to. In a cycle the way in counts.
func (g *graph) layers() map[seed.Name]int {
	depth := map[seed.Name]int{}
	var queue []transition
	for _, t := range g.seeds {
		if !slices.ContainsFunc(t.contract.In, func(s packet.State) bool { return len(g.givers[s]) > 0 }) {
			depth[t.name] = 0
			queue = append(queue, t)
		}
	}
	for rest := slices.Clone(g.seeds); ; {
		for len(queue) > 0 {
			t := queue[0]
			queue = queue[1:]
			for _, s := range t.contract.Out {
				for _, next := range g.seeds {
					if _, seen := depth[next.name]; !seen && next.contract.Takes(s) {
						depth[next.name] = depth[t.name] + 1
						queue = append(queue, next)
					}
				}
			}
		}
		rest = slices.DeleteFunc(rest, func(t transition) bool { _, seen := depth[t.name]; return seen })
		if len(rest) == 0 {
			return depth
		}
		depth[rest[0].name] = 0 // a cycle that nothing leads into
		queue = append(queue, rest[0])
	}
}

// order sorts the seeds by layer.
func (g *graph) order() {
	depth := g.layers()
	slices.SortStableFunc(g.seeds, func(a, b transition) int { return depth[a.name] - depth[b.name] })
}

// find is the seed of that name.
func (g *graph) find(name seed.Name) transition {
	i := slices.IndexFunc(g.seeds, func(t transition) bool { return t.name == name })
	return g.seeds[i]
}
