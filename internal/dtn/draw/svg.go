package draw

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// The measures of an SVG drawing, in its units.
const (
	boxHeight = 32
	rowHeight = 52
	gapWidth  = 60
	charWidth = 8
	margin    = 16
)

// A node of the drawing is a seed or a state, in a column.
type node struct {
	label, title    string
	state, loose    bool
	x, y, w, column int
}

// SVG writes the network as a picture of its own: seeds as boxes, states as
// rounded places, in columns as data flows; readable on a light and on a dark
// ground.
func SVG(w io.Writer, n *dtn.Network) error {
	g := newGraph(n)
	seeds, states := map[seed.Name]*node{}, map[packet.State]*node{}
	depth := g.layers()
	var nodes []*node
	for _, t := range g.seeds {
		seeds[t.name] = &node{label: t.label(), title: t.label() + ": " + t.contract.String(), column: 2*depth[t.name] + 1}
		nodes = append(nodes, seeds[t.name])
	}
	for _, s := range g.states {
		p := &node{label: string(s), title: string(s), state: true, loose: g.loose[s], column: -1}
		for _, name := range g.givers[s] {
			if c := 2*depth[name] + 2; p.column < 0 || c < p.column {
				p.column = c
			}
		}
		if p.column < 0 {
			p.column = 2 * depth[g.takers[s][0]]
		}
		if p.loose {
			p.title += ": no seed accepts it"
		}
		states[s] = p
		nodes = append(nodes, p)
	}
	width, height := place(nodes)
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>A Data Transformation Network</title>
<style>
svg { color: #1f2328; --ground: #ffffff; --seed: #ffe8cc; --state: #e7f5ff }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; --ground: #0d1117; --seed: #5c3a12; --state: #12324a } }
.ground { fill: var(--ground) } .seed { fill: var(--seed); stroke: currentColor } .state { fill: var(--state); stroke: currentColor }
.loose { stroke-dasharray: 4 3 } text { fill: currentColor; text-anchor: middle; dominant-baseline: central } .edge { fill: none; stroke: currentColor }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#888"/></marker></defs>
<rect class="ground" width="100%%" height="100%%"/>
`, width, height, width, height)
	for _, e := range g.edges() {
		from, to := states[e.State], seeds[e.Seed]
		if e.Gives {
			from, to = to, from
		}
		edge(&out, from, to)
	}
	for _, p := range nodes {
		class, radius := "seed", 3
		if p.state {
			class, radius = "state", boxHeight/2
		}
		if p.loose {
			class += " loose"
		}
		fmt.Fprintf(&out, "<g><title>%s</title><rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/><text x=\"%d\" y=\"%d\">%s</text></g>\n",
			escape(p.title), class, p.x, p.y, p.w, boxHeight, radius, p.x+p.w/2, p.y+boxHeight/2, escape(p.label))
	}
	out.WriteString("</svg>\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// place gives every node its position and returns the size of the drawing.
func place(nodes []*node) (width, height int) {
	last := 0
	for _, p := range nodes {
		p.w = charWidth*length(p.label) + 24
		last = max(last, p.column)
	}
	x := margin
	for column := 0; column <= last; column++ {
		wide, y := 0, margin
		for _, p := range nodes {
			if p.column == column {
				p.x, p.y = x, y
				y += rowHeight
				wide = max(wide, p.w)
			}
		}
		if wide > 0 {
			x += wide + gapWidth
		}
		height = max(height, y)
	}
	return max(x-gapWidth, 0) + margin, height + margin
}

// edge is a curve from the right of one node to the left of another.
func edge(out *strings.Builder, from, to *node) {
	x1, y1, x2, y2 := from.x+from.w, from.y+boxHeight/2, to.x, to.y+boxHeight/2
	if x2 <= x1 { // back: below both
		low := max(y1, y2) + boxHeight
		fmt.Fprintf(out, "<path class=\"edge\" marker-end=\"url(#tip)\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n", x1, y1, x1+gapWidth, low, x2-gapWidth, low, x2, y2)
		return
	}
	middle := (x1 + x2) / 2
	fmt.Fprintf(out, "<path class=\"edge\" marker-end=\"url(#tip)\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n", x1, y1, middle, y1, middle, y2, x2, y2)
}

func escape(s string) string {
	var out strings.Builder
	xml.EscapeText(&out, []byte(s)) // a strings.Builder never fails
	return out.String()
}
