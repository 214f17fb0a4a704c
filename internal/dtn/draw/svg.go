package draw

import (
	"bufio"
	_ "embed" // for the style sheet
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
)

//go:embed svg.css
var svgStyle string

// The sizes of an SVG drawing in pixels. Layouts have pixels along the main
// axis, but on the cross axis units of svgUnit, so that two lines are never
// less than that apart.
const (
	svgUnit   = 7
	svgChar   = 8
	svgMargin = 16
)

// SVG writes the network as an SVG image that needs nothing else: it is
// readable in a light and in a dark page, and what it shows can be read out.
func SVG(w io.Writer, n *dtn.Network) error {
	findings := n.Findings()
	s := &svg{out: &strings.Builder{}}
	parts := graphs(n, mark(findings))
	for _, g := range parts {
		s.part(&g)
	}
	if len(parts) == 0 {
		s.line("no seeds")
	}
	width, height := s.width+2*svgMargin, s.height+svgMargin
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" class="pmk" role="img" `+
		`aria-labelledby="pmk-title pmk-desc" viewBox="0 0 %d %d" width="%d" height="%d">`+"\n",
		width, height, width, height)
	fmt.Fprintf(out, "<title id=\"pmk-title\">Data Transformation Network: %d seeds, %d states</title>\n",
		len(n.Seeds()), len(n.States()))
	out.WriteString(`<desc id="pmk-desc">`)
	for _, name := range n.Seeds() {
		c, _ := n.Contract(name)
		fmt.Fprintf(out, "%s: %s. ", escape(string(name)), escape(c.String()))
	}
	for _, f := range findings {
		fmt.Fprintf(out, "Finding: %s. ", escape(f.Text))
	}
	fmt.Fprintf(out, "</desc>\n<style>\n%s</style>\n", svgStyle)
	out.WriteString(`<defs><marker id="pmk-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" ` +
		`markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>` + "\n")
	out.WriteString(s.out.String())
	out.WriteString("</svg>\n")
	return out.Flush() // has any error of the writes before
}

// escape makes text of any name; what XML cannot hold becomes U+FFFD.
func escape(s string) string {
	var b strings.Builder
	// A strings.Builder never fails, and neither does EscapeText then.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// svgMetrics is the room of things in an SVG drawing.
func svgMetrics() metrics {
	return metrics{
		vertex: func(v *vertex, ports int) (before, after, size int) {
			if v.inline {
				return 2, 1, svgChar*columns(v.label) + 16
			}
			middle := (ports - 1) / 2
			return 2 + 2*middle, 2 + 2*(ports-1-middle), svgChar*columns(v.label) + 28
		},
		pitch: 2, gap: 1, lineGap: 1, laneGap: 1, lanePitch: 2, trackPitch: 12,
		channel: func(tracks int, _ bool) (length, lead int) { return 28 + 12*tracks, 12 },
	}
}

// svg draws the parts of a network below each other.
type svg struct {
	out           *strings.Builder
	layout        *layout
	top           int
	width, height int
}

func (s *svg) part(g *graph) {
	s.top = s.height + svgMargin
	l, ok := newLayout(g, svgMetrics())
	if !ok {
		s.list(g)
		return
	}
	s.layout = l
	for c := range l.channels {
		for i := range l.channels[c] {
			s.piece(c, &l.channels[c][i])
		}
	}
	for _, lane := range l.lanes {
		from, to := l.layerAt[lane.low], l.layerAt[lane.high]+l.layerSize[lane.high]
		middle := l.middle(&lane)
		s.path(lane.net, true, "M%d %dH%d", s.x(to), s.y(lane.pos), s.x(middle))
		s.path(lane.net, false, "M%d %dH%d", s.x(middle), s.y(lane.pos), s.x(from))
	}
	for i := range l.items {
		s.item(&l.items[i])
	}
	s.width = max(s.width, l.length)
	s.height = s.top + l.breadth*svgUnit
}

// list is what is drawn of a part that is too large for a drawing.
func (s *svg) list(g *graph) {
	for _, line := range drawList(g, 120, false) {
		s.line(line)
	}
}

// line writes one line of text below all else.
func (s *svg) line(text string) {
	s.height += 18
	s.width = max(s.width, svgChar*columns(text))
	fmt.Fprintf(s.out, `<text class="line" x="%d" y="%d">%s</text>`+"\n", svgMargin, s.height, escape(text))
}

func (s *svg) x(main int) int  { return svgMargin + main }
func (s *svg) y(cross int) int { return s.top + cross*svgUnit }

// path draws a line of a net, with an arrow head at its end or without.
func (s *svg) path(net int, head bool, format string, args ...any) {
	class, marker := "way", ""
	if s.layout.nets[net].failure {
		class = "way failure"
	}
	if head {
		marker = ` marker-end="url(#pmk-head)"`
	}
	fmt.Fprintf(s.out, `<path class="%s"%s d="%s"/>`+"\n", class, marker, fmt.Sprintf(format, args...))
}

func (s *svg) piece(c int, p *piece) {
	l := s.layout
	start, end := s.x(l.channelAt[c]), s.x(l.channelAt[c]+l.channelSize[c])
	if p.straight {
		s.path(p.net, l.ends(p.far[0]), "M%d %dH%d", start, s.y(p.near[0].pos), end)
		return
	}
	track := s.x(p.track)
	low, high := p.span()
	s.path(p.net, false, "M%d %dV%d", track, s.y(low), s.y(high))
	sides := map[int]int{} // of the lines that meet on the track
	for _, pin := range p.near {
		sides[pin.pos]++
		s.path(p.net, false, "M%d %dH%d", start, s.y(pin.pos), track)
	}
	for _, pin := range p.far {
		sides[pin.pos]++
		s.path(p.net, l.ends(pin), "M%d %dH%d", track, s.y(pin.pos), end)
	}
	// A dot tells lines that meet from lines that cross.
	for pos := low; pos <= high; pos++ {
		count := sides[pos]
		if count == 0 {
			continue
		}
		if pos > low {
			count++
		}
		if pos < high {
			count++
		}
		if count > 2 {
			fmt.Fprintf(s.out, `<circle class="meet" cx="%d" cy="%d" r="3"/>`+"\n", track, s.y(pos))
		}
	}
}

func (s *svg) item(it *item) {
	l := s.layout
	start, size := s.x(l.layerAt[it.layer]), l.layerSize[it.layer]
	if it.vertex < 0 {
		s.path(it.net, false, "M%d %dH%d", start, s.y(it.pos), start+size)
		return
	}
	v := &l.graph.vertices[it.vertex]
	if v.inline {
		s.path(it.ins[0], false, "M%d %dH%d", start, s.y(it.pos), start+size)
		fmt.Fprintf(s.out, `<g><title>%s</title><text x="%d" y="%d">%s</text></g>`+"\n",
			escape(v.title), start+size/2, s.y(it.pos)-6, escape(v.label))
		return
	}
	class, round := "state", 14
	if v.seed {
		class, round = "seed", 3
	}
	if v.marked {
		class += " marked"
	}
	top, high := s.y(it.pos-it.before), (it.before+it.after)*svgUnit
	fmt.Fprintf(s.out, `<g class="%s"><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="%d"/>`+
		`<text x="%d" y="%d">%s</text></g>`+"\n",
		class, escape(v.title), start, top, size, high, round, start+size/2, top+high/2+5, escape(v.label))
}
