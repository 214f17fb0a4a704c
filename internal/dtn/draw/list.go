package draw

import (
	"cmp"
	"slices"
	"strings"
)

// drawList writes a graph as a list, in the order in which data comes by:
// each seed with what it gives, each with who takes it.
func drawList(g *graph, width int, ascii bool) []string {
	order := g.breakCycles()
	layer := g.layers(order, func(int) int { return 1 }, 0)
	nth := make([]int, len(order))
	for i, v := range order {
		nth[v] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(layer[a], layer[b]), cmp.Compare(nth[a], nth[b]))
	})
	signs := listSigns{head: "▪ ", entry: "▫ ", branch: "  ├▶ ", last: "  └▶ ", to: " ─▶ ", failure: " ╌▶ "}
	if ascii {
		signs = listSigns{head: "* ", entry: "o ", branch: "  +> ", last: "  +> ", to: " -> ", failure: " .> "}
	}
	var lines []string
	for _, at := range order {
		v := &g.vertices[at]
		switch {
		case v.seed:
			lines = append(lines, signs.head+v.label)
			for i, e := range v.out {
				branch := signs.branch
				if i == len(v.out)-1 {
					branch = signs.last
				}
				lines = append(lines, wrap(branch, g.line(g.edges[e].to, signs), width)...)
			}
		case v.entry:
			lines = append(lines, wrap(signs.entry, g.line(at, signs), width)...)
		}
	}
	return lines
}

type listSigns struct{ head, entry, branch, last, to, failure string }

// line is a state and who takes it.
func (g *graph) line(state int, signs listSigns) string {
	v := &g.vertices[state]
	if len(v.out) == 0 {
		return v.label
	}
	to := signs.to
	var takers []string
	for _, e := range v.out {
		takers = append(takers, g.vertices[g.edges[e].to].label)
		if g.edges[e].failure {
			to = signs.failure
		}
	}
	return v.label + to + strings.Join(takers, ", ")
}
