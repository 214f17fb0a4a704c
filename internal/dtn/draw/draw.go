// Package draw draws a network: for terminals ([Text]), for browsers ([SVG]),
// for other programs ([DOT], [Mermaid], [JSON]).
//
// A drawing shows states as places, with round corners, and seeds as
// transitions, in boxes. Marks are the same in all of them:
//
//	greet ×3     a seed that three nodes host
//	& merge      a join: it needs all of its inputs
//	greet !      a seed with a finding
//	Type:STATE ? a state with a finding, its border dashed
//
// Dashed lines are the ways of packets that failed. Where a state has one
// giver and one taker, Text and SVG write it on the line between the two.
//
// Text and SVG share one layered layout. It goes through these steps, each in
// a file of its own: the network's connected parts, each a graph of vertices
// (model.go); layers, with the cycles broken (layer.go); nets, which are the
// lines that belong together, cut into pieces from layer to layer (net.go);
// the order within a layer (order.go); positions (place.go); and the tracks
// that lines take between two layers (channel.go). A layout knows two axes
// only: "main", along which the layers follow each other, and "cross", along
// which a layer's items stand. Which of them is x, and how much room things
// take, is the drawing's choice.
package draw

import (
	"fmt"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// marks are the seeds and states that a network's findings are about.
type marks struct {
	seeds  map[seed.Name]bool
	states map[packet.State]bool
}

// mark sorts findings by what they are about: a state, or else seeds.
func mark(findings []dtn.Finding) marks {
	m := marks{seeds: map[seed.Name]bool{}, states: map[packet.State]bool{}}
	for _, f := range findings {
		switch f.Kind {
		case dtn.Unaccepted, dtn.Ungiven, dtn.UnknownSeed:
			m.states[f.State] = true
		default:
			for _, s := range f.Seeds {
				m.seeds[s] = true
			}
		}
	}
	return m
}

// seedLabel is what stands in a seed's box.
func seedLabel(n *dtn.Network, name seed.Name, m marks) string {
	label := clean(string(name))
	if c, _ := n.Contract(name); c.Join {
		label = "& " + label
	}
	if count := len(n.Replicas(name)); count > 1 {
		label += fmt.Sprintf(" ×%d", count)
	}
	if m.seeds[name] {
		label += " !"
	}
	return label
}

// stateLabel is what stands at a state's place.
func stateLabel(s packet.State, m marks) string {
	if m.states[s] {
		return clean(string(s)) + " ?"
	}
	return clean(string(s))
}

// clean keeps a drawing's shape whatever a name holds: what is not a printable
// ASCII character takes one column and moves no cursor.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '\uFFFD'
		}
		return r
	}, name)
}
