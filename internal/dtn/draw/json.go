package draw

import (
	"encoding/json"
	"io"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Document is a network as [JSON] writes it. Lists are sorted and never
// null; fields are added in time, but none is renamed.
type Document struct {
	Seeds    []Seed    `json:"seeds"`
	States   []State   `json:"states"`
	Edges    []Edge    `json:"edges"`
	Findings []Finding `json:"findings"`
}

// A Seed is one seed of a [Document], with all nodes that host it.
type Seed struct {
	Name     seed.Name `json:"name"`
	About    string    `json:"about,omitempty"`
	Kind     seed.Kind `json:"kind,omitempty"`
	Contract string    `json:"contract"`       // as in a seed file: "T:A | T:B -> T:C"
	Join     bool      `json:"join"`           // it needs all of its inputs
	Nodes    []string  `json:"nodes"`          // that host it
	File     string    `json:"file,omitempty"` // of the first of them
	Line     int       `json:"line,omitempty"`
}

// A State is one state of a [Document].
type State struct {
	Name packet.State `json:"name"` // "Type:NAME"
	// Entry says that no seed gives it, Waits that no seed takes it.
	Entry bool `json:"entry"`
	Waits bool `json:"waits"`
}

// An Edge of a [Document] joins a seed and a state. Role says how: the seed
// "takes" the state, "gives" it, or "fails" into it.
type Edge struct {
	Seed  seed.Name    `json:"seed"`
	State packet.State `json:"state"`
	Role  string       `json:"role"`
}

// A Finding of a [Document]; see [dtn.Finding] for the fields.
type Finding struct {
	Kind     dtn.Kind     `json:"kind"`
	Severity dtn.Severity `json:"severity"`
	Seed     seed.Name    `json:"seed,omitempty"`
	Seeds    []seed.Name  `json:"seeds"`
	State    packet.State `json:"state,omitempty"`
	Near     string       `json:"near,omitempty"`
	Node     string       `json:"node,omitempty"`
	File     string       `json:"file,omitempty"`
	Line     int          `json:"line,omitempty"`
	Text     string       `json:"text"`
}

// Describe is the network as a document.
func Describe(n *dtn.Network) Document {
	d := Document{Seeds: []Seed{}, States: []State{}, Edges: []Edge{}, Findings: Findings(n)}
	for _, name := range n.Seeds() {
		c, _ := n.Contract(name)
		hosts := n.Replicas(name)
		var m seed.Manifest
		if len(hosts) > 0 { // else it is away
			m = hosts[0].Manifest
		}
		s := Seed{
			Name: name, About: m.About, Kind: m.Kind, Contract: c.String(), Join: c.Join, File: m.File, Line: m.Line,
		}
		for _, h := range hosts {
			s.Nodes = append(s.Nodes, h.Node)
		}
		d.Seeds = append(d.Seeds, s)
	}
	g := model(n, marks{})
	for _, v := range g.vertices[len(n.Seeds()):] {
		name := n.States()[len(d.States)]
		d.States = append(d.States, State{Name: name, Entry: v.entry, Waits: len(v.out) == 0})
	}
	for i, v := range g.vertices[:len(n.Seeds())] {
		for _, e := range v.in {
			d.Edges = append(d.Edges, Edge{n.Seeds()[i], n.States()[g.edges[e].from-len(n.Seeds())], "takes"})
		}
		for _, e := range v.out {
			role := "gives"
			if g.edges[e].failure {
				role = "fails"
			}
			d.Edges = append(d.Edges, Edge{n.Seeds()[i], n.States()[g.edges[e].to-len(n.Seeds())], role})
		}
	}
	return d
}

// Findings are the network's findings as a document has them; never nil.
func Findings(n *dtn.Network) []Finding {
	found := []Finding{}
	for _, f := range n.Findings() {
		found = append(found, Finding(f))
	}
	return found
}

// JSON writes the network as a [Document], indented, with a line end.
func JSON(w io.Writer, n *dtn.Network) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // contracts have arrows
	e.SetIndent("", "  ")
	return e.Encode(Describe(n))
}
