package draw

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
)

// DOT writes the network in the language of Graphviz.
func DOT(w io.Writer, n *dtn.Network) error {
	out := bufio.NewWriter(w)
	g := model(n, mark(n.Findings()))
	out.WriteString("digraph pumpkin {\n\trankdir=LR;\n\tnode [fontname=\"monospace\"];\n\tedge [fontname=\"monospace\"];\n")
	for i, v := range g.vertices {
		shape, style := "box", "rounded"
		if v.seed {
			style = "solid"
		}
		if v.marked {
			style += ",dashed"
		}
		fmt.Fprintf(out, "\tv%d [shape=%s,style=\"%s\",label=%s,tooltip=%s];\n",
			i, shape, style, quoteDOT(v.label), quoteDOT(v.title))
	}
	for _, e := range g.edges {
		style := ""
		if e.failure {
			style = " [style=dashed]"
		}
		fmt.Fprintf(out, "\tv%d -> v%d%s;\n", e.from, e.to, style)
	}
	out.WriteString("}\n")
	return out.Flush() // has any error of the writes before
}

// quoteDOT writes a string that Graphviz shows as it is: a quote would end
// it, a backslash begins one of its escapes, & one of HTML.
func quoteDOT(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`).Replace(s) + `"`
}
