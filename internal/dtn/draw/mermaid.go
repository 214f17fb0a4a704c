package draw

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
)

// Mermaid writes the network as a Mermaid flowchart, such as Markdown pages
// show in a fenced block.
func Mermaid(w io.Writer, n *dtn.Network) error {
	out := bufio.NewWriter(w)
	g := model(n, mark(n.Findings()))
	out.WriteString("flowchart LR\n")
	var marked []string
	for i, v := range g.vertices {
		left, right := "([", "])"
		if v.seed {
			left, right = "[", "]"
		}
		fmt.Fprintf(out, "    v%d%s\"%s\"%s\n", i, left, quoteMermaid(v.label), right)
		if v.marked {
			marked = append(marked, fmt.Sprintf("v%d", i))
		}
	}
	for _, e := range g.edges {
		arrow := "-->"
		if e.failure {
			arrow = "-.->"
		}
		fmt.Fprintf(out, "    v%d %s v%d\n", e.from, arrow, e.to)
	}
	if len(marked) > 0 {
		out.WriteString("    classDef marked stroke-dasharray: 4 3\n")
		fmt.Fprintf(out, "    class %s marked\n", strings.Join(marked, ","))
	}
	return out.Flush() // has any error of the writes before
}

// quoteMermaid writes every character that could mean something to Mermaid,
// or to the HTML it makes, by its number.
func quoteMermaid(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9',
			strings.ContainsRune(" :_-×?!", r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
