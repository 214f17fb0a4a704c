package draw

// A net is a set of edges that are drawn as one line which branches: all that
// one vertex gives, or all that leads to one vertex and nowhere else. Lines
// of one net may meet; lines of two nets only cross.
type net struct {
	failure bool
	edges   []int
	source  bool // the edges have one source; else one target
}

// An item is what takes room in a layer: a vertex, or a line passing through.
type item struct {
	vertex              int // -1: a line
	net                 int // of a line
	layer               int
	before, after, size int // room beside pos on the cross axis, and along main
	pos                 int // on the cross axis
	ins, outs           []int
	prev, next          []joint
}

// A joint is a neighbour in the layer before or after, and the net between.
type joint struct{ item, net int }

// A lane is a line that leads back, beside all layers from low to high.
type lane struct {
	net, low, high int
	pos            int
}

// A pin is where a net comes into a channel: from an item, or, if item is -1,
// from a lane.
type pin struct {
	item, lane int
	pos        int // on the cross axis; set by placing
}

// A piece is the part of a net in one channel, the room between two layers:
// near pins are on the side of the layer before, far pins on the other.
// Channel c is before layer c.
type piece struct {
	net       int
	near, far []pin
	straight  bool
	track     int // where the line runs across, on the main axis
}

// nets parts the edges: those of a vertex that gives to one only belong to
// whom it gives, with all that is given to it that way.
func (g *graph) nets() []net {
	var nets []net
	into := map[[2]int]int{} // target and style
	style := func(failure bool) int {
		if failure {
			return 1
		}
		return 0
	}
	for v := range g.vertices {
		var out [2][]int
		for _, e := range g.vertices[v].out {
			out[style(g.edges[e].failure)] = append(out[style(g.edges[e].failure)], e)
		}
		for i, edges := range out {
			switch {
			case len(edges) > 1:
				nets = append(nets, net{failure: i == 1, edges: edges, source: true})
			case len(edges) == 1:
				key := [2]int{g.edges[edges[0]].to, i}
				at, ok := into[key]
				if !ok {
					at = len(nets)
					into[key] = at
					nets = append(nets, net{failure: i == 1})
				}
				nets[at].edges = append(nets[at].edges, edges[0])
			}
		}
	}
	return nets
}

// A weaver cuts the nets of a layout into pieces.
type weaver struct {
	*layout
	pieceAt map[[2]int]int // net and channel
	laneAt  map[lane]int
	passing map[[2]int]int // net and layer
}

// weave makes the lines' items, lanes and pieces. The vertices' items are
// there, numbered as the vertices.
func (l *layout) weave() {
	w := weaver{layout: l, pieceAt: map[[2]int]int{}, laneAt: map[lane]int{}, passing: map[[2]int]int{}}
	for i, n := range l.nets {
		for _, e := range n.edges {
			w.edge(i, l.graph.edges[e])
		}
	}
}

// edge leads one edge of a net through the layers. A net that has a source
// passes its edges' first layers on one line, one that has a target their
// last ones; what is there already is not made again.
func (w *weaver) edge(n int, e edge) {
	low, high := w.items[e.from].layer, w.items[e.to].layer
	w.port(&w.items[e.from].outs, n)
	w.port(&w.items[e.to].ins, n)
	if e.back {
		at := w.lane(lane{net: n, low: high, high: low})
		start := w.piece(n, low+1)
		w.pin(&start.near, pin{item: e.from})
		w.pin(&start.near, pin{item: -1, lane: at})
		end := w.piece(n, high)
		w.pin(&end.far, pin{item: -1, lane: at})
		w.pin(&end.far, pin{item: e.to})
		return
	}
	last := e.from
	for c := low + 1; c <= high; c++ {
		to := e.to
		if c < high {
			to = w.line(n, c)
		}
		p := w.piece(n, c)
		before := len(p.near) + len(p.far)
		w.pin(&p.near, pin{item: last})
		w.pin(&p.far, pin{item: to})
		if len(p.near)+len(p.far) > before {
			w.items[last].next = append(w.items[last].next, joint{to, n})
			w.items[to].prev = append(w.items[to].prev, joint{last, n})
		}
		last = to
	}
}

func (w *weaver) port(ports *[]int, n int) {
	for _, have := range *ports {
		if have == n {
			return
		}
	}
	*ports = append(*ports, n)
}

func (w *weaver) pin(pins *[]pin, p pin) {
	for _, have := range *pins {
		if have == p {
			return
		}
	}
	*pins = append(*pins, p)
}

// piece is the net's piece in the channel. The pointer is good until
// another channel's piece is asked for.
func (w *weaver) piece(n, channel int) *piece {
	key := [2]int{n, channel}
	at, ok := w.pieceAt[key]
	if !ok {
		at = len(w.channels[channel])
		w.pieceAt[key] = at
		w.channels[channel] = append(w.channels[channel], piece{net: n})
	}
	return &w.channels[channel][at]
}

func (w *weaver) lane(l lane) int {
	at, ok := w.laneAt[l]
	if !ok {
		at = len(w.lanes)
		w.laneAt[l] = at
		w.lanes = append(w.lanes, l)
	}
	return at
}

// line is the item by which the net passes the layer.
func (w *weaver) line(n, layer int) int {
	key := [2]int{n, layer}
	at, ok := w.passing[key]
	if !ok {
		at = len(w.items)
		w.passing[key] = at
		w.items = append(w.items, item{vertex: -1, net: n, layer: layer, ins: []int{n}, outs: []int{n}})
	}
	return at
}
