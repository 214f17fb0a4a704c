package draw

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
