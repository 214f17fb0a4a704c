package draw

import (
	"cmp"
	"math"
	"slices"
)

// assignPorts orders the nets at each vertex by where they come from, so that
// they do not cross in front of it. Ways back come from beyond.
func (l *layout) assignPorts() {
	place := make([]int, len(l.items))
	for _, layer := range l.layers {
		for i, at := range layer {
			place[at] = i
		}
	}
	for i := range l.items {
		it := &l.items[i]
		slices.SortStableFunc(it.ins, func(a, b int) int {
			return cmp.Compare(mean(it.prev, a, place), mean(it.prev, b, place))
		})
		// What failed leaves last: there are two nets at most.
		slices.SortStableFunc(it.outs, func(a, b int) int {
			if l.nets[a].failure == l.nets[b].failure {
				return cmp.Compare(a, b)
			}
			if l.nets[a].failure {
				return 1
			}
			return -1
		})
	}
}

func mean(joints []joint, net int, place []int) float64 {
	sum, count := 0, 0
	for _, j := range joints {
		if j.net == net {
			sum += place[j.item]
			count++
		}
	}
	if count == 0 {
		return math.Inf(1)
	}
	return float64(sum) / float64(count)
}

// ports is how many nets are at the fuller side of an item, 1 at least.
func (it *item) ports() int { return max(1, len(it.ins), len(it.outs)) }

// offset is where a net's port is, seen from the item's middle one.
func (l *layout) offset(at int, ports []int, net int) int {
	it := &l.items[at]
	first := (it.ports()-len(ports))/2 - (it.ports()-1)/2
	return (first + slices.Index(ports, net)) * l.metrics.pitch
}

// place gives every item its position: near the middle of its neighbours,
// without changing the order.
func (l *layout) place() {
	for _, layer := range l.layers {
		pos := 0
		for i, at := range layer {
			if i > 0 {
				pos += l.apart(layer[i-1], at)
			}
			l.items[at].pos = pos
		}
	}
	const rounds = 6
	for range rounds {
		for i := range l.layers {
			l.pull(l.layers[i], true, false)
		}
		for i := range l.layers {
			l.pull(l.layers[len(l.layers)-1-i], false, true)
		}
	}
	// Between all its neighbours, and mostly where its line stays straight.
	for range rounds {
		for i := range l.layers {
			l.pull(l.layers[i], true, true)
		}
		for i := range l.layers {
			l.pull(l.layers[len(l.layers)-1-i], true, true)
		}
	}
}

// apart is how far two items that follow each other in a layer have to be.
func (l *layout) apart(a, b int) int {
	gap := l.metrics.gap
	if l.items[a].vertex < 0 && l.items[b].vertex < 0 {
		gap = l.metrics.lineGap
	}
	return l.items[a].after + 1 + gap + l.items[b].before
}

// pull moves the items of a layer to where their neighbours want them. What
// would come too close moves as one block, to the mean of what its members
// want: the least squares under the condition of the order.
func (l *layout) pull(layer []int, before, after bool) {
	type block struct {
		sum, weight float64
		count       int
	}
	var blocks []block
	offset := 0
	offsets := make([]int, len(layer))
	for i, at := range layer {
		if i > 0 {
			offset += l.apart(layer[i-1], at)
		}
		offsets[i] = offset
		want, weight := l.wanted(at, before, after)
		b := block{sum: (want - float64(offset)) * weight, weight: weight, count: 1}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.sum/last.weight <= b.sum/b.weight {
				break
			}
			b = block{last.sum + b.sum, last.weight + b.weight, last.count + b.count}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	i := 0
	for _, b := range blocks {
		base := int(math.Floor(b.sum/b.weight + 0.5))
		for range b.count {
			l.items[layer[i]].pos = base + offsets[i]
			i++
		}
	}
}

// straightness is how much more a line between two items counts that have no
// other on that side: a bend in such a line serves nobody. That of failed
// packets counts for little beside the main way.
const (
	straightness  = 30
	failureWeight = 0.05
)

// wanted is where an item's neighbours, those before it, those after it or all
// of them, want it, and how much that counts.
func (l *layout) wanted(at int, before, after bool) (pos, weight float64) {
	it := &l.items[at]
	sum := 0.0
	pull := func(net, other, from, to int) {
		w := 1.0
		switch {
		case l.nets[net].failure:
			w = failureWeight
		case l.alone(l.items[from].next) && l.alone(l.items[to].prev):
			w = straightness
		}
		sum += w * float64(other)
		weight += w
	}
	if before {
		for _, j := range it.prev {
			shift := l.offset(j.item, l.items[j.item].outs, j.net) - l.offset(at, it.ins, j.net)
			pull(j.net, l.items[j.item].pos+shift, j.item, at)
		}
	}
	if after {
		for _, j := range it.next {
			shift := l.offset(j.item, l.items[j.item].ins, j.net) - l.offset(at, it.outs, j.net)
			pull(j.net, l.items[j.item].pos+shift, at, j.item)
		}
	}
	if weight == 0 {
		return float64(it.pos), 0.1
	}
	return sum / weight, weight
}

// alone tells whether there is one joint only, failures not counted.
func (l *layout) alone(joints []joint) bool {
	count := 0
	for _, j := range joints {
		if !l.nets[j.net].failure {
			count++
		}
	}
	return count == 1
}
