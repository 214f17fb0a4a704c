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
