package draw

import (
	"cmp"
	"slices"
)

// newLayout makes a layout; false when the graph is too large or too tangled, or
// broader than the limit.
func newLayout(g *graph, m metrics) (*layout, bool) {
	order := g.breakCycles()
	size := func(v int) int {
		before, after, _ := m.vertex(&g.vertices[v], 1)
		return before + 1 + after + m.gap
	}
	l := &layout{graph: g, metrics: m, nets: g.nets()}
	last := 0
	for v, layer := range g.layers(order, size, m.most) {
		l.items = append(l.items, item{vertex: v, layer: layer})
		last = max(last, layer)
	}
	if !l.fits() {
		return nil, false
	}
	l.channels = make([][]piece, last+2)
	l.weave()
	l.measure()
	l.rank(order, last+1)
	if l.tooBroad() {
		return nil, false
	}
	l.arrange()
	l.assignPorts()
	l.place()
	if !l.route() {
		return nil, false
	}
	l.stretch()
	return l, true
}

// fits tells whether the lines to pass the layers are not too many. An edge
// shares its line with others of its net, so this errs on the safe side.
func (l *layout) fits() bool {
	count := len(l.items)
	for _, n := range l.nets {
		longest := 0
		for _, e := range n.edges {
			longest = max(longest, l.items[l.graph.edges[e].to].layer-l.items[l.graph.edges[e].from].layer)
		}
		count += longest
	}
	return count <= maxItems
}

// tooBroad tells whether some layer takes more than the limit, however its
// items are placed.
func (l *layout) tooBroad() bool {
	if l.metrics.limit == 0 {
		return false
	}
	for _, layer := range l.layers {
		breadth := -l.metrics.gap
		for _, at := range layer {
			gap := l.metrics.gap
			if l.items[at].vertex < 0 {
				gap = l.metrics.lineGap
			}
			breadth += l.items[at].before + 1 + l.items[at].after + gap
		}
		if breadth > l.metrics.limit {
			return true
		}
	}
	return false
}

// measure asks how much room the vertices take.
func (l *layout) measure() {
	for i := range l.items {
		if it := &l.items[i]; it.vertex >= 0 {
			it.before, it.after, it.size = l.metrics.vertex(&l.graph.vertices[it.vertex], it.ports())
		}
	}
}

// rank puts the items into their layers, in the order in which a walk through
// the graph comes by; a line comes with where it comes from.
func (l *layout) rank(order []int, layers int) {
	nth := make([]int, len(l.items))
	for i, v := range order {
		nth[v] = i
	}
	for i := len(l.graph.vertices); i < len(l.items); i++ {
		nth[i] = nth[l.graph.edges[l.nets[l.items[i].net].edges[0]].from]
	}
	l.layers = make([][]int, layers)
	for i, it := range l.items {
		l.layers[it.layer] = append(l.layers[it.layer], i)
	}
	for _, layer := range l.layers {
		slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(nth[a], nth[b]) })
	}
}

// stretch lays out the main axis and moves all to begin at 0.
func (l *layout) stretch() {
	low, high := l.items[0].pos, 0
	for _, it := range l.items {
		low = min(low, it.pos-it.before)
	}
	for i := range l.items {
		l.items[i].pos -= low
		high = max(high, l.items[i].pos+l.items[i].after+1)
	}
	for i := range l.lanes {
		l.lanes[i].pos -= low
		high = max(high, l.lanes[i].pos+1)
	}
	l.breadth = high
	at := 0
	for c := range l.channels {
		l.pins(c)
		length := l.channelLength(c)
		l.channelAt, l.channelSize = append(l.channelAt, at), append(l.channelSize, length)
		_, lead := l.metrics.channel(1, false)
		for i := range l.channels[c] {
			p := &l.channels[c][i]
			p.track = at + lead + p.track*l.metrics.trackPitch
		}
		at += length
		if c == len(l.layers) {
			break
		}
		size := 0
		for _, i := range l.layers[c] {
			size = max(size, l.items[i].size)
		}
		l.layerAt, l.layerSize = append(l.layerAt, at), append(l.layerSize, size)
		at += size
	}
	l.length = at
}

// maxItems bounds a layout; what would be larger nobody can read.
const maxItems = 20_000

func (l *layout) channelLength(c int) int {
	if len(l.channels[c]) == 0 {
		return 0
	}
	tracks, arrows := 0, false
	for _, p := range l.channels[c] {
		if !p.straight {
			tracks = max(tracks, p.track+1)
		}
		for _, pin := range p.far {
			arrows = arrows || l.ends(pin)
		}
	}
	length, _ := l.metrics.channel(tracks, arrows)
	return length
}
