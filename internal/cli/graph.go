package cli

import (
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/recap/pumpkin/internal/dtn/draw"
)

func (a *app) graphCommand() *cobra.Command {
	var f nodeFlags
	var svg, dot, mermaid, ascii, asJSON bool
	cmd := &cobra.Command{
		Use: "graph [PATH...]", Short: "Draw the network of seed files, or of the running node",
		Long: `graph draws the network: seeds as boxes, states on the lines between them, and
below the drawing what is wrong with the network. The seeds of PATH are not run;
those that your own program has compiled in are drawn as well. pmk without a PATH,
or --node NAME, draws the network of the running node.`,
		Example: "  pmk graph examples/helloworld/python\n  pmk graph --svg seeds/ > network.svg\n  pmk graph --mermaid",
		RunE: func(cmd *cobra.Command, paths []string) error {
			n, err := a.networkOf(cmd.Context(), f, paths)
			if err != nil {
				return err
			}
			switch {
			case svg:
				return draw.SVG(a.out, n)
			case dot:
				return draw.DOT(a.out, n)
			case mermaid:
				return draw.Mermaid(a.out, n)
			case asJSON:
				return draw.JSON(a.out, n)
			}
			return draw.Text(a.out, n, widthOf(a.out), ascii)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&ascii, "ascii", false, "without box-drawing characters")
	cmd.Flags().BoolVar(&svg, "svg", false, "as an SVG picture")
	cmd.Flags().BoolVar(&dot, "dot", false, "for Graphviz")
	cmd.Flags().BoolVar(&mermaid, "mermaid", false, "as a Mermaid flowchart")
	jsonFlag(cmd, &asJSON)
	cmd.MarkFlagsMutuallyExclusive("svg", "dot", "mermaid", "json")
	return cmd
}

// widthOf is how wide a terminal is; 100 for anything else.
func widthOf(w io.Writer) int {
	if f, ok := fileOf(w); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 100
}
