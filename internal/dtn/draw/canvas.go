package draw

import (
	"strings"
	"unicode/utf8"
)

// The sides of a cell that a line touches.
const (
	north = 1 << iota
	east
	south
	west
)

const (
	horizontal = east | west
	vertical   = north | south
)

// A cell is one character of a canvas: text, or else a line.
type cell struct {
	text   rune
	sides  uint8
	net    int // whose line it is
	dashed bool
}

// A canvas is a sheet of characters.
type canvas struct {
	width, height int
	cells         []cell
	ascii         bool
	// overlaps counts the cells in which lines of two nets do not simply
	// cross: zero, or the layout is wrong.
	overlaps int
}

func newCanvas(width, height int, ascii bool) *canvas {
	return &canvas{width: width, height: height, cells: make([]cell, width*height), ascii: ascii}
}

func (c *canvas) at(x, y int) *cell { return &c.cells[y*c.width+x] }

// write puts text down, one column a rune.
func (c *canvas) write(x, y int, text string) {
	for _, r := range text {
		c.at(x, y).text = r
		x++
	}
}

// line adds sides to the line in a cell. Where two nets cross, the line from
// north to south goes over the other.
func (c *canvas) line(x, y int, sides uint8, net int, dashed bool) {
	p := c.at(x, y)
	if p.sides == 0 || p.net == net {
		p.dashed = dashed
		p.net, p.sides = net, p.sides|sides
		return
	}
	switch {
	case p.sides&^horizontal == 0 && sides&^vertical == 0:
		p.net, p.sides, p.dashed = net, sides, dashed
	case p.sides&^vertical == 0 && sides&^horizontal == 0:
	default:
		c.overlaps++
	}
}

// box draws a border, with its corners at (x, y) and (x+w-1, y+h-1).
func (c *canvas) box(x, y, w, h int, s border) {
	for i := 1; i < w-1; i++ {
		c.at(x+i, y).text, c.at(x+i, y+h-1).text = s.across, s.across
	}
	for i := 1; i < h-1; i++ {
		c.at(x, y+i).text, c.at(x+w-1, y+i).text = s.down, s.down
	}
	c.at(x, y).text, c.at(x+w-1, y).text = s.corners[0], s.corners[1]
	c.at(x, y+h-1).text, c.at(x+w-1, y+h-1).text = s.corners[2], s.corners[3]
}

// A border is what a box is drawn with.
type border struct {
	across, down rune
	corners      [4]rune
}

func (c *canvas) border(v *vertex) border {
	switch {
	case c.ascii && v.seed:
		return border{'-', '|', [4]rune{'+', '+', '+', '+'}}
	case c.ascii && v.marked:
		return border{'.', ':', [4]rune{'.', '.', '\'', '\''}}
	case c.ascii:
		return border{'-', '|', [4]rune{'.', '.', '\'', '\''}}
	case v.seed:
		return border{'─', '│', [4]rune{'┌', '┐', '└', '┘'}}
	case v.marked:
		return border{'╌', '╎', [4]rune{'╭', '╮', '╰', '╯'}}
	default:
		return border{'─', '│', [4]rune{'╭', '╮', '╰', '╯'}}
	}
}

// arrow heads, by the side that they point to.
func (c *canvas) arrow(side uint8) rune {
	heads := map[uint8][2]rune{north: {'▲', '^'}, east: {'▶', '>'}, south: {'▼', 'v'}, west: {'◀', '<'}}
	if c.ascii {
		return heads[side][1]
	}
	return heads[side][0]
}

func (c *canvas) rune(p *cell) rune {
	const lines = " ╵╶└╷│┌├╴┘─┴┐┤┬┼"
	switch {
	case p.text != 0:
		return p.text
	case p.sides == 0:
		return ' '
	case c.ascii && p.sides&^horizontal == 0:
		if p.dashed {
			return '.'
		}
		return '-'
	case c.ascii && p.sides&^vertical == 0:
		if p.dashed {
			return ':'
		}
		return '|'
	case c.ascii:
		return '+'
	case p.dashed && p.sides&^horizontal == 0:
		return '╌'
	case p.dashed && p.sides&^vertical == 0:
		return '╎'
	default:
		return []rune(lines)[p.sides]
	}
}

// lines is what is drawn, line by line, without blanks at their ends.
func (c *canvas) lines() []string {
	out := make([]string, c.height)
	var b strings.Builder
	for y := range out {
		b.Reset()
		for x := range c.width {
			b.WriteRune(c.rune(c.at(x, y)))
		}
		out[y] = strings.TrimRight(b.String(), " ")
	}
	return out
}

func columns(s string) int { return utf8.RuneCountInString(s) }
