package draw

import "slices"

// breakCycles marks the edges that close a cycle, so that the others make
// none. It looks from where data comes in, so that the edges it marks lead
// back toward there. The order in which vertices were left, reversed, is one
// in which every other edge leads forward; it is returned.
func (g *graph) breakCycles() []int {
	const (
		fresh = iota
		open
		left
	)
	state := make([]uint8, len(g.vertices))
	var order []int
	type frame struct{ vertex, next int }
	walk := func(root int) {
		state[root] = open
		for calls := []frame{{vertex: root}}; len(calls) > 0; {
			top := &calls[len(calls)-1]
			v := &g.vertices[top.vertex]
			if top.next == len(v.out) {
				state[top.vertex] = left
				order = append(order, top.vertex)
				calls = calls[:len(calls)-1]
				continue
			}
			// From the last to the first, for the reversed order to have
			// them by name.
			e := &g.edges[v.out[len(v.out)-1-top.next]]
			top.next++
			switch state[e.to] {
			case fresh:
				state[e.to] = open
				calls = append(calls, frame{vertex: e.to})
			case open:
				e.back = true
			}
		}
	}
	for v := len(g.vertices) - 1; v >= 0; v-- {
		if len(g.vertices[v].in) == 0 {
			walk(v)
		}
	}
	for v := range g.vertices { // in a cycle that nothing leads into
		if state[v] == fresh {
			walk(v)
		}
	}
	slices.Reverse(order)
	return order
}

// layers gives each vertex its layer, from 0: behind all that lead to it, but
// what nothing leads to just before what it leads to first. Seeds and states
// take turns. A layer holds no more than most, by the vertices' sizes, unless
// it holds one vertex only; what is too much goes into the next layer of its
// kind. 0 is no limit.
func (g *graph) layers(order []int, size func(v int) int, most int) []int {
	layer := make([]int, len(g.vertices))
	full := map[int]int{}
	for _, v := range order {
		at := 0
		if !g.vertices[v].seed {
			at = 1
		}
		for _, e := range g.vertices[v].in {
			if !g.edges[e].back {
				at = max(at, layer[g.edges[e].from]+1)
			}
		}
		if len(g.vertices[v].in) > 0 { // the others have yet to move
			for most > 0 && full[at] > 0 && full[at]+size(v) > most {
				at += 2
			}
			full[at] += size(v)
		}
		layer[v] = at
	}
	first := len(g.vertices)
	for v := range g.vertices {
		if len(g.vertices[v].in) == 0 {
			nearest := -1
			for _, e := range g.vertices[v].out {
				if to := layer[g.edges[e].to]; nearest < 0 || to < nearest {
					nearest = to
				}
			}
			at := max(layer[v], nearest-1)
			for most > 0 && full[at] > 0 && full[at]+size(v) > most && at >= 2 {
				at -= 2
			}
			full[at] += size(v)
			layer[v] = at
		}
		first = min(first, layer[v])
	}
	for v := range layer {
		layer[v] -= first
	}
	return layer
}
