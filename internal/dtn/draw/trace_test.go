package draw

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestDrawingsSayWhatIsSo reads random drawings as a person would, following
// the lines from each box to the arrow heads, and compares what they say with
// the graph.
func TestDrawingsSayWhatIsSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := randomNetwork(t)
		m := mark(n.Findings())
		for _, g := range graphs(n, m) {
			for _, down := range []bool{false, true} {
				metrics := rightward()
				if down {
					metrics = downward(rapid.SampledFrom([]int{0, 40, 80}).Draw(t, "most"), 0)
				}
				checkDrawing(t, &g, metrics, down)
			}
			if _, ok := newLayout(&g, svgMetrics()); !ok {
				t.Fatal("no layout for SVG")
			}
		}
	})
}

func checkDrawing(t *rapid.T, g *graph, m metrics, down bool) {
	l, ok := newLayout(g, m)
	if !ok {
		t.Fatalf("no layout (down: %t)", down)
	}
	c := drawLayout(l, down, false)
	picture := "\n" + strings.Join(c.lines(), "\n")
	if c.overlaps > 0 {
		t.Fatalf("%d overlaps in%s", c.overlaps, picture)
	}
	r := reader{c: c, l: l, down: down}
	for v := range g.vertices {
		if g.vertices[v].inline {
			continue
		}
		if got, want := r.targets(v), g.successors(v); !slices.Equal(got, want) {
			t.Fatalf("from %q the lines lead to %q, want %q, in%s",
				g.vertices[v].label, g.labels(got), g.labels(want), picture)
		}
		if !strings.Contains(picture, g.vertices[v].label) {
			t.Fatalf("no %q in%s", g.vertices[v].label, picture)
		}
	}
}

func (g *graph) labels(vertices []int) (labels []string) {
	for _, v := range vertices {
		labels = append(labels, g.vertices[v].label)
	}
	return labels
}

// successors are the boxes that v's edges lead to, through states that are
// written on the line.
func (g *graph) successors(v int) (out []int) {
	for _, e := range g.vertices[v].out {
		to := g.edges[e].to
		if g.vertices[to].inline {
			to = g.edges[g.vertices[to].out[0]].to
		}
		out = append(out, to)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// A reader follows lines by what their characters look like.
type reader struct {
	c    *canvas
	l    *layout
	down bool
}

type spot struct{ x, y int }

func (s spot) to(side uint8) spot {
	switch side {
	case north:
		return spot{s.x, s.y - 1}
	case south:
		return spot{s.x, s.y + 1}
	case east:
		return spot{s.x + 1, s.y}
	default:
		return spot{s.x - 1, s.y}
	}
}

func opposite(side uint8) uint8 {
	return map[uint8]uint8{north: south, south: north, east: west, west: east}[side]
}

// look is the sides that the character at s shows; 0 for what is no line.
func (r *reader) look(s spot) uint8 {
	if s.x < 0 || s.y < 0 || s.x >= r.c.width || s.y >= r.c.height {
		return 0
	}
	p := r.c.at(s.x, s.y)
	glyph := r.c.rune(p)
	if strings.ContainsRune("▶◀", glyph) {
		return horizontal
	}
	if strings.ContainsRune("▲▼", glyph) {
		return vertical
	}
	if p.text != 0 {
		return 0
	}
	for sides, line := range []rune(" ╵╶└╷│┌├╴┘─┴┐┤┬┼") {
		if glyph == line {
			return uint8(sides)
		}
	}
	return map[rune]uint8{'╌': horizontal, '╎': vertical}[glyph]
}

// targets are the vertices that the lines from v end at.
func (r *reader) targets(v int) []int {
	it := &r.l.items[v]
	var queue []spot
	for _, net := range it.outs {
		port := it.pos + r.l.offset(v, it.outs, net)
		if r.down {
			queue = append(queue, spot{port, r.l.layerAt[it.layer] + it.size})
		} else {
			queue = append(queue, spot{r.l.layerAt[it.layer] + r.l.layerSize[it.layer], port})
		}
	}
	seen := map[spot]bool{}
	var found []int
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if seen[s] {
			continue
		}
		seen[s] = true
		switch r.c.rune(r.c.at(s.x, s.y)) {
		case '▶':
			found = append(found, r.boxAt(s.to(east)))
			continue
		case '▼':
			found = append(found, r.boxAt(s.to(south)))
			continue
		}
		for _, side := range []uint8{north, east, south, west} {
			if r.look(s)&side == 0 {
				continue
			}
			next := s.to(side)
			// A line from side to side goes on behind those from top to
			// bottom.
			for side&horizontal != 0 && r.look(next) == vertical {
				next = next.to(side)
			}
			if r.look(next)&opposite(side) != 0 && r.oneWay(next, side) {
				queue = append(queue, next)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// oneWay tells whether a line may be followed into the spot, going to that
// side: past boxes and through names, data goes on, but on lanes back.
func (r *reader) oneWay(s spot, side uint8) bool {
	main, cross, back := s.x, s.y, uint8(west)
	if r.down {
		main, cross, back = s.y, s.x, north
	}
	for i, at := range r.l.layerAt {
		if main < at || main >= at+r.l.layerSize[i] {
			continue
		}
		for _, lane := range r.l.lanes {
			if lane.pos == cross {
				return side == back
			}
		}
		return side != back
	}
	return true
}

// boxAt is the vertex whose box has the spot in its border.
func (r *reader) boxAt(s spot) int {
	main, cross := s.x, s.y
	if r.down {
		main, cross = s.y, s.x
	}
	for v := range r.l.graph.vertices {
		it := &r.l.items[v]
		if r.l.layerAt[it.layer] == main && it.pos-it.before <= cross && cross <= it.pos+it.after {
			return v
		}
	}
	return -1
}

// randomNetwork draws networks of up to fourteen seeds with short names.
func randomNetwork(t *rapid.T) *dtn.Network {
	var states []packet.State
	for i := range rapid.IntRange(1, 10).Draw(t, "states") {
		states = append(states, packet.State(fmt.Sprintf("T:%c", 'A'+i)))
	}
	states = append(states, "Error:s0", "Error:s5")
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(states), 0, min(3, len(states)), rapid.ID)
	var hosted []dtn.Hosted
	for i := range rapid.IntRange(1, 14).Draw(t, "seeds") {
		c := seed.Contract{In: some.Draw(t, "in"), Out: some.Draw(t, "out")}
		c.Join = len(c.In) > 1 && rapid.Bool().Draw(t, "join")
		m := seed.Manifest{Name: seed.Name(fmt.Sprintf("s%d", i)), Contract: c}
		hosted = append(hosted, dtn.Hosted{Node: "n", Manifest: m})
	}
	return dtn.New(hosted)
}
