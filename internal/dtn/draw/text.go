package draw

import (
	"bufio"
	"io"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
)

// minWidth is the least width, in columns, that Text keeps to.
const minWidth = 20

// Text draws the network for a terminal of so many columns, and writes its
// findings below. Each connected part of it is drawn from left to right if
// that fits, else from top to bottom, else it is written as a list. Lines
// longer than width are only in a list, where a single name is too long. With
// ascii, only ASCII characters are used.
func Text(w io.Writer, n *dtn.Network, width int, ascii bool) error {
	findings := n.Findings()
	out := bufio.NewWriter(w)
	width = max(width, minWidth)
	parts := graphs(n, mark(findings))
	if len(parts) == 0 {
		out.WriteString("no seeds\n")
	}
	for i, g := range parts {
		if i > 0 {
			out.WriteString("\n")
		}
		for _, line := range drawPart(&g, width, ascii) {
			out.WriteString(toASCII(line, ascii) + "\n")
		}
	}
	if len(findings) > 0 {
		out.WriteString("\n")
	}
	for _, f := range findings {
		sign := "! "
		if mark([]dtn.Finding{f}).states[f.State] {
			sign = "? "
		}
		for _, line := range wrap(sign, clean(f.Text), width) {
			out.WriteString(toASCII(line, ascii) + "\n")
		}
	}
	return out.Flush() // has any error of the writes before
}

// toASCII replaces what labels have beyond ASCII.
func toASCII(line string, ascii bool) string {
	if !ascii {
		return line
	}
	return strings.NewReplacer("×", "x", "\uFFFD", "?").Replace(line)
}

// drawPart draws one connected part in the first form that fits.
func drawPart(g *graph, width int, ascii bool) []string {
	if l, ok := newLayout(g, rightward()); ok && l.length <= width {
		return drawLayout(l, false, ascii).lines()
	}
	// How much of a layer's room its lines will take is known only
	// afterwards: try again with less.
	for most := width; most >= width/4; most -= width / 8 {
		if l, ok := newLayout(g, downward(most, width)); ok && l.breadth <= width {
			return drawLayout(l, true, ascii).lines()
		}
	}
	return drawList(g, width, ascii)
}

// rightward is the room of things in columns (main) and rows (cross).
func rightward() metrics {
	return metrics{
		vertex: func(v *vertex, ports int) (before, after, size int) {
			if v.inline {
				return 1, 1, columns(v.label)
			}
			middle := (ports - 1) / 2
			return middle + 1, ports - middle, columns(v.label) + 4
		},
		pitch: 1, gap: 0, lineGap: 0, laneGap: 0, lanePitch: 1, trackPitch: 2,
		channel: func(tracks int, arrows bool) (length, lead int) {
			if tracks == 0 {
				return 2, 1
			}
			return 2*tracks + 2, 1
		},
	}
}

// downward is the room of things in rows (main) and columns (cross).
func downward(most, limit int) metrics {
	return metrics{
		vertex: func(v *vertex, ports int) (before, after, size int) {
			if v.inline {
				return 0, 1 + columns(v.label), 1
			}
			middle := (ports - 1) / 2
			wide := columns(v.label) + 4
			before = max((wide-1)/2, 2*middle+1)
			after = max(wide-1-(wide-1)/2, 2*(ports-1-middle)+1)
			return before, after, 3
		},
		pitch: 2, gap: 2, lineGap: 1, laneGap: 1, lanePitch: 2, trackPitch: 1,
		channel: func(tracks int, arrows bool) (length, lead int) {
			if arrows {
				tracks++
			}
			return tracks, 0
		},
		most: most, limit: limit,
	}
}

// A pen draws a layout on a canvas, whichever way its main axis goes.
type pen struct {
	*canvas
	*layout
	down bool
}

func (p *pen) xy(main, cross int) (x, y int) {
	if p.down {
		return cross, main
	}
	return main, cross
}

// along draws a line on the main axis from one cell up to before another.
func (p *pen) along(from, to, cross, net int, dashed bool) {
	sides := uint8(horizontal)
	if p.down {
		sides = vertical
	}
	for main := from; main < to; main++ {
		x, y := p.xy(main, cross)
		p.line(x, y, sides, net, dashed)
	}
}

// touch adds the sides of a line in one cell: toward the main axis' start and
// end, and the cross axis' start and end.
func (p *pen) touch(main, cross, net int, dashed bool, back, ahead, less, more bool) {
	order := [4]uint8{west, east, north, south}
	if p.down {
		order = [4]uint8{north, south, west, east}
	}
	var sides uint8
	for i, yes := range [4]bool{back, ahead, less, more} {
		if yes {
			sides |= order[i]
		}
	}
	x, y := p.xy(main, cross)
	p.line(x, y, sides, net, dashed)
}

func drawLayout(l *layout, down, ascii bool) *canvas {
	p := &pen{layout: l, down: down}
	width, height := p.xy(l.length, l.breadth)
	p.canvas = newCanvas(width, height, ascii)
	for i := range l.items {
		p.item(&l.items[i])
	}
	for c := range l.channels {
		for i := range l.channels[c] {
			p.piece(c, &l.channels[c][i])
		}
	}
	for i := range l.lanes {
		p.lane(&l.lanes[i])
	}
	return p.canvas
}

func (p *pen) item(it *item) {
	start, size := p.layerAt[it.layer], p.layerSize[it.layer]
	if it.vertex < 0 {
		p.along(start, start+size, it.pos, it.net, p.nets[it.net].failure)
		return
	}
	v := &p.graph.vertices[it.vertex]
	if v.inline {
		net := it.ins[0]
		p.along(start, start+size, it.pos, net, p.nets[net].failure)
		if p.down {
			p.write(it.pos+2, start+(size-1)/2, v.label)
		} else {
			p.write(start+(size-columns(v.label))/2, it.pos-1, v.label)
		}
		return
	}
	wide, high := size, it.before+1+it.after
	x, y := p.xy(start, it.pos-it.before)
	if p.down {
		wide, high = it.before+1+it.after, it.size
	}
	p.box(x, y, wide, high, p.border(v))
	middle := y + (high-1)/2
	if !p.down {
		middle = it.pos
	}
	p.write(x+(wide-columns(v.label))/2, middle, v.label)
	if p.down {
		p.stems(it, x, y, high)
		for below := y + high; below < start+size; below++ {
			for _, net := range it.outs {
				p.along(below, below+1, it.pos+p.offset(it.vertex, it.outs, net), net, p.nets[net].failure)
			}
		}
	}
}

// stems marks where lines leave the lower border of a box.
func (p *pen) stems(it *item, x, y, high int) {
	stem := '┬'
	if p.ascii {
		stem = '+'
	}
	for _, net := range it.outs {
		p.at(it.pos+p.offset(it.vertex, it.outs, net), y+high-1).text = stem
	}
}

func (p *pen) piece(c int, piece *piece) {
	start, end := p.channelAt[c], p.channelAt[c]+p.channelSize[c]
	dashed := p.nets[piece.net].failure
	if piece.straight {
		p.along(start, end, piece.near[0].pos, piece.net, dashed)
	} else {
		low, high := piece.span()
		for cross := low; cross <= high; cross++ {
			p.touch(piece.track, cross, piece.net, dashed, false, false, cross > low, cross < high)
		}
		for _, pin := range piece.near {
			p.along(start, piece.track, pin.pos, piece.net, dashed)
			p.touch(piece.track, pin.pos, piece.net, dashed, true, false, false, false)
		}
		for _, pin := range piece.far {
			p.along(piece.track+1, end, pin.pos, piece.net, dashed)
			p.touch(piece.track, pin.pos, piece.net, dashed, false, true, false, false)
		}
	}
	for _, pin := range piece.far {
		if p.ends(pin) {
			x, y := p.xy(end-1, pin.pos)
			p.at(x, y).text = p.head(false)
		}
	}
}

// lane draws a way back, with an arrow head.
func (p *pen) lane(l *lane) {
	start, end := p.layerAt[l.low], p.layerAt[l.high]+p.layerSize[l.high]
	p.along(start, end, l.pos, l.net, p.nets[l.net].failure)
	x, y := p.xy(p.middle(l), l.pos)
	p.at(x, y).text = p.head(true)
}

func (p *pen) head(back bool) rune {
	switch {
	case p.down && back:
		return p.canvas.arrow(north)
	case p.down:
		return p.canvas.arrow(south)
	case back:
		return p.canvas.arrow(west)
	default:
		return p.canvas.arrow(east)
	}
}
