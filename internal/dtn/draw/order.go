package draw

import (
	"cmp"
	"slices"
)

// sweeps is how often the order of each layer is made anew; large layouts,
// where nobody follows single lines, have fewer.
func (l *layout) sweeps() int {
	if len(l.items) > 2000 {
		return 4
	}
	return 16
}

// arrange orders the items of each layer so that few lines cross: each goes
// where its neighbours in the layer before are on average, then the same with
// the layer after, in turns. The best of all turns is kept.
func (l *layout) arrange() {
	place := make([]int, len(l.items))
	best, least := l.copyOrder(), l.crossings(place)
	for sweep := 0; sweep < l.sweeps() && least > 0; sweep++ {
		forward := sweep%2 == 0
		for i := range l.layers {
			at := i
			if !forward {
				at = len(l.layers) - 1 - i
			}
			l.sortLayer(l.layers[at], forward, place)
		}
		if count := l.crossings(place); count < least {
			best, least = l.copyOrder(), count
		}
	}
	l.layers = best
}

func (l *layout) copyOrder() [][]int {
	layers := make([][]int, len(l.layers))
	for i := range layers {
		layers[i] = slices.Clone(l.layers[i])
	}
	return layers
}

// sortLayer sorts one layer by where its items' neighbours are.
func (l *layout) sortLayer(layer []int, forward bool, place []int) {
	middle := make(map[int]float64, len(layer))
	for i, at := range layer {
		joints := l.items[at].next
		if forward {
			joints = l.items[at].prev
		}
		middle[at] = float64(i)
		if len(joints) > 0 {
			sum := 0
			for _, j := range joints {
				sum += place[j.item]
			}
			middle[at] = float64(sum) / float64(len(joints))
		}
	}
	slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(middle[a], middle[b]) })
	for i, at := range layer {
		place[at] = i
	}
}

// crossings counts the pairs of lines that cross, and notes in place where in
// its layer each item stands.
func (l *layout) crossings(place []int) int {
	for _, layer := range l.layers {
		for i, at := range layer {
			place[at] = i
		}
	}
	count := 0
	var ends []int
	for _, layer := range l.layers {
		ends = ends[:0]
		for _, at := range layer {
			first := len(ends)
			for _, j := range l.items[at].next {
				ends = append(ends, place[j.item])
			}
			slices.Sort(ends[first:])
		}
		count += inversions(ends)
	}
	return count
}

// inversions counts the pairs that stand in the wrong order.
func inversions(list []int) int {
	if len(list) == 0 {
		return 0
	}
	// A Fenwick tree of how many of each number came so far.
	tree := make([]int, slices.Max(list)+2)
	count := 0
	for i, v := range list {
		smaller := 0 // or equal
		for at := v + 1; at > 0; at &= at - 1 {
			smaller += tree[at]
		}
		count += i - smaller
		for at := v + 1; at < len(tree); at += at & -at {
			tree[at]++
		}
	}
	return count
}
