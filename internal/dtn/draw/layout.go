package draw

// metrics say how much room things take, in the units of a drawing.
type metrics struct {
	// vertex is the room that a vertex with so many ports takes: beside its
	// middle port on the cross axis, and along the main axis.
	vertex func(v *vertex, ports int) (before, after, size int)
	pitch  int // between two ports of a vertex
	// gap and lineGap are between two items, and between two lines that
	// pass a layer.
	gap, lineGap       int
	laneGap, lanePitch int
	// channel is the length of a channel with so many tracks, and of its
	// part before the first; arrows says that it ends at an arrow head.
	channel    func(tracks int, arrows bool) (length, lead int)
	trackPitch int
	// most is how much of its vertices a layer may hold on the cross axis,
	// and limit what it may take with all lines; 0 is any.
	most, limit int
}

// A layout is a graph with everything in its place.
type layout struct {
	graph   *graph
	metrics metrics
	nets    []net
	items   []item
	layers  [][]int // of items, in order
	// channels has one more element than layers; see piece.
	channels [][]piece
	lanes    []lane

	layerAt, layerSize     []int // on the main axis
	channelAt, channelSize []int
	length, breadth        int
}

// ends tells whether a line ends at this far pin, with an arrow head.
func (l *layout) ends(p pin) bool {
	if p.item < 0 || l.items[p.item].vertex < 0 {
		return false
	}
	return !l.graph.vertices[l.items[p.item].vertex].inline
}

// middle is where on the main axis a lane has its arrow head: beside the
// layer in its middle, where no line crosses it.
func (l *layout) middle(way *lane) int {
	layer := (way.low + way.high) / 2
	return l.layerAt[layer] + l.layerSize[layer]/2
}
