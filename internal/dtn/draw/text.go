package draw

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Text draws the network as boxes for a terminal of that width.
//
// Every row is a way of seeds in which each state has one giver and one taker;
// such a state stands above its arrow. Where ways part or meet, a row ends or
// begins at the state, in brackets: rows that name the same state are joined
// there. A state that no seed accepts has a question mark.
//
//	┌────────┐  String:UNGREETED  ┌───────┐
//	│ inject │───────────────────▶│ greet │──▶ (String:GREETING ?)
//	└────────┘                    └───────┘
func Text(w io.Writer, n *dtn.Network, width int) error {
	g := newGraph(n)
	if len(g.seeds) == 0 {
		_, err := fmt.Fprintln(w, "no seeds")
		return err
	}
	drawn := map[seed.Name]bool{}
	var out strings.Builder
	for _, t := range g.seeds {
		if !drawn[t.name] && !g.continues(t) {
			g.row(&out, t, width, drawn)
		}
	}
	for _, t := range g.seeds { // what is left goes round
		if !drawn[t.name] {
			g.row(&out, t, width, drawn)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// between is the state that alone leads from a seed to the only other that
// takes it, and that takes nothing else.
func (g *graph) between(t transition) (packet.State, transition, bool) {
	if len(t.contract.Out) != 1 {
		return "", transition{}, false
	}
	s := t.contract.Out[0]
	if len(g.givers[s]) != 1 || len(g.takers[s]) != 1 {
		return "", transition{}, false
	}
	next := g.find(g.takers[s][0])
	return s, next, len(next.contract.In) == 1
}

// continues tells whether the row of another seed leads on to t.
func (g *graph) continues(t transition) bool {
	if len(t.contract.In) != 1 || len(g.givers[t.contract.In[0]]) != 1 {
		return false
	}
	_, next, ok := g.between(g.find(g.givers[t.contract.In[0]][0]))
	return ok && next.name == t.name
}

// A row is three lines of text that grow together.
type row struct{ top, middle, bottom string }

func (r *row) add(top, middle, bottom string) {
	r.top, r.middle, r.bottom = r.top+top, r.middle+middle, r.bottom+bottom
}

func (r *row) box(label string) {
	line := strings.Repeat("─", length(label)+2)
	r.add("┌"+line+"┐", "│ "+label+" │", "└"+line+"┘")
}

func (r *row) gap(text string) {
	blank := strings.Repeat(" ", length(text))
	r.add(blank, text, blank)
}

// arrow has the state above it.
func (r *row) arrow(s packet.State) {
	text := "  " + string(s) + "  "
	r.add(text, strings.Repeat("─", length(text)-1)+"▶", strings.Repeat(" ", length(text)))
}

func (r *row) flush(out *strings.Builder) {
	for _, line := range []string{r.top, r.middle, r.bottom} {
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func length(s string) int { return utf8.RuneCountInString(s) }

// row draws the way that begins at t.
func (g *graph) row(out *strings.Builder, t transition, width int, drawn map[seed.Name]bool) {
	r := new(row)
	if len(t.contract.In) > 0 {
		r.gap(g.places(t.contract.In, t.contract.Join) + " ──▶ ")
	}
	for {
		drawn[t.name] = true
		r.box(t.label())
		s, next, ok := g.between(t)
		if !ok || drawn[next.name] {
			break
		}
		if length(r.middle)+length(string(s))+length(next.label())+8 > width {
			break // the next row begins with this state
		}
		r.arrow(s)
		t = next
	}
	if len(t.contract.Out) > 0 {
		r.gap(" ──▶ " + g.places(t.contract.Out, false))
	}
	r.flush(out)
	if s, next, ok := g.between(t); ok && !drawn[next.name] && s != "" {
		g.row(out, next, width, drawn)
	}
}

// places are states in brackets.
func (g *graph) places(states []packet.State, join bool) string {
	sep := " | "
	if join {
		sep = " & "
	}
	var parts []string
	for _, s := range states {
		mark := ""
		if g.loose[s] {
			mark = " ?"
		}
		parts = append(parts, "("+string(s)+mark+")")
	}
	return strings.Join(parts, sep)
}
