package draw

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// quote is a name as a quoted string of DOT: they are ASCII letters, digits,
// '_', '-' and ':', but for the name of a file that is not checked.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s) + `"`
}

// DOT writes the network for Graphviz: seeds as boxes, states as ovals, dashed
// where no seed accepts them.
func DOT(w io.Writer, n *dtn.Network) error {
	g := newGraph(n)
	var out strings.Builder
	out.WriteString("digraph network {\n  rankdir=LR;\n")
	for _, t := range g.seeds {
		fmt.Fprintf(&out, "  %s [shape=box, label=%s];\n", quote("seed "+string(t.name)), quote(t.label()))
	}
	for _, s := range g.states {
		style := "solid"
		if g.loose[s] {
			style = "dashed"
		}
		fmt.Fprintf(&out, "  %s [shape=oval, style=%s];\n", quote(string(s)), style)
	}
	for _, e := range g.edges() {
		from, to := quote(string(e.State)), quote("seed "+string(e.Seed))
		if e.Gives {
			from, to = to, from
		}
		fmt.Fprintf(&out, "  %s -> %s;\n", from, to)
	}
	out.WriteString("}\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// Mermaid writes the network as a Mermaid flowchart.
func Mermaid(w io.Writer, n *dtn.Network) error {
	g := newGraph(n)
	var out strings.Builder
	out.WriteString("flowchart LR\n")
	seeds, states := map[seed.Name]int{}, map[packet.State]int{}
	text := strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "\n", " ")
	for i, t := range g.seeds {
		seeds[t.name] = i
		fmt.Fprintf(&out, "  t%d[\"%s\"]\n", i, text.Replace(t.label()))
	}
	for i, s := range g.states {
		states[s] = i
		fmt.Fprintf(&out, "  s%d([\"%s\"])\n", i, text.Replace(string(s)))
		if g.loose[s] {
			fmt.Fprintf(&out, "  style s%d stroke-dasharray: 4\n", i)
		}
	}
	for _, e := range g.edges() {
		if e.Gives {
			fmt.Fprintf(&out, "  t%d --> s%d\n", seeds[e.Seed], states[e.State])
		} else {
			fmt.Fprintf(&out, "  s%d --> t%d\n", states[e.State], seeds[e.Seed])
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// An Edge joins a seed and a state: Gives from the seed to the state, else the
// other way.
type Edge struct {
	Seed  seed.Name    `json:"seed"`
	State packet.State `json:"state"`
	Gives bool         `json:"gives"`
}

func (g *graph) edges() []Edge {
	edges := []Edge{}
	for _, t := range g.seeds {
		for _, s := range t.contract.In {
			edges = append(edges, Edge{t.name, s, false})
		}
		for _, s := range t.contract.Out {
			edges = append(edges, Edge{t.name, s, true})
		}
	}
	return edges
}

// A Seed is one of the network, in JSON.
type Seed struct {
	Name     seed.Name     `json:"name"`
	Contract seed.Contract `json:"contract"`
	Nodes    []string      `json:"nodes"`
	File     string        `json:"file,omitempty"`
}

// A Place is one state of the network, in JSON.
type Place struct {
	State    packet.State `json:"state"`
	Accepted bool         `json:"accepted"`
}

// JSON writes {"seeds": [...], "states": [...], "edges": [...], "findings":
// [...]}: a [Seed], [Place], [Edge] or sentence each.
func JSON(w io.Writer, n *dtn.Network) error {
	g := newGraph(n)
	doc := struct {
		Seeds    []Seed   `json:"seeds"`
		States   []Place  `json:"states"`
		Edges    []Edge   `json:"edges"`
		Findings []string `json:"findings"`
	}{[]Seed{}, []Place{}, g.edges(), []string{}}
	for _, t := range g.seeds {
		s := Seed{Name: t.name, Contract: t.contract, Nodes: []string{}}
		for _, r := range t.replicas {
			s.Nodes = append(s.Nodes, r.Node)
			s.File = r.Manifest.File
		}
		doc.Seeds = append(doc.Seeds, s)
	}
	for _, s := range g.states {
		doc.States = append(doc.States, Place{s, !g.loose[s]})
	}
	for _, f := range n.Findings() {
		doc.Findings = append(doc.Findings, f.Text)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}
