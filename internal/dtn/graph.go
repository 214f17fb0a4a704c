package dtn

import (
	"math/bits"
	"slices"
)

// components are the strongly connected components of a graph, numbered so
// that every link between two of them leads to the lower number.
type components struct {
	of      []int32   // the component of each vertex
	members [][]int32 // the vertices of each component
}

func (c components) size(component int32) int { return len(c.members[component]) }

// condense finds the components by Tarjan's algorithm, with its own stack
// instead of recursion: chains can be as long as the network.
func condense(next [][]int32) components {
	type frame struct{ vertex, link int32 }
	const done = int32(1<<31 - 1)
	c := components{of: make([]int32, len(next))}
	low := make([]int32, len(next)) // 0: not seen yet
	var count int32
	var open []int32 // vertices whose component is not known yet
	var calls []frame
	visit := func(v int32) {
		count++
		low[v] = count
		open = append(open, v)
		calls = append(calls, frame{vertex: v})
	}
	order := make([]int32, len(next))
	for root := range next {
		if low[root] != 0 {
			continue
		}
		visit(int32(root))
		order[root] = count
		for len(calls) > 0 {
			top := &calls[len(calls)-1]
			v := top.vertex
			if int(top.link) < len(next[v]) {
				w := next[v][top.link]
				top.link++
				if low[w] == 0 {
					visit(w)
					order[w] = count
				} else {
					low[v] = min(low[v], low[w])
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				up := calls[len(calls)-1].vertex
				low[up] = min(low[up], low[v])
			}
			if low[v] != order[v] {
				continue
			}
			var members []int32
			for {
				w := open[len(open)-1]
				open = open[:len(open)-1]
				c.of[w], low[w] = int32(len(c.members)), done
				members = append(members, w)
				if w == v {
					break
				}
			}
			c.members = append(c.members, members)
		}
	}
	return c
}

// A bitset is a set of small numbers.
type bitset []uint64

func newBitset(size int) bitset { return make(bitset, (size+63)/64) }

func (b bitset) add(i int32) { b[i/64] |= 1 << (i % 64) }

func (b bitset) has(i int32) bool { return b[i/64]>>(i%64)&1 != 0 }

func (b bitset) union(other bitset) {
	for i, word := range other {
		b[i] |= word
	}
}

// each calls f with every number of the set, in order.
func (b bitset) each(f func(int32)) {
	for i, word := range b {
		for ; word != 0; word &= word - 1 {
			f(int32(i*64 + bits.TrailingZeros64(word)))
		}
	}
}

// spread is everything that can be reached from the vertices of from, which
// it includes.
func spread(next [][]int32, from ...int32) bitset {
	seen := newBitset(len(next))
	for _, v := range from {
		seen.add(v)
	}
	for queue := slices.Clone(from); len(queue) > 0; {
		v := queue[0]
		queue = queue[1:]
		for _, w := range next[v] {
			if !seen.has(w) {
				seen.add(w)
				queue = append(queue, w)
			}
		}
	}
	return seen
}

// reverse is the graph with every link turned round.
func reverse(next [][]int32) [][]int32 {
	back := make([][]int32, len(next))
	for v, ws := range next {
		for _, w := range ws {
			back[w] = append(back[w], int32(v))
		}
	}
	return back
}
