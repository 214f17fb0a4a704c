package cli

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/bench"
	"github.com/recap/pumpkin/internal/load"
)

func (a *app) benchCommand() *cobra.Command {
	var asJSON, asNode bool
	nodes := 1
	var about strings.Builder
	for _, b := range bench.All() {
		fmt.Fprintf(&about, "  %-20s %s\n", b.Name, b.About)
	}
	cmd := &cobra.Command{
		Use: "bench [NAME...]", Short: "Measure what a node can do on this machine",
		Long:    "bench measures the chain inject -> transform -> extract with 128-byte texts and\nprints a table. Without a NAME it takes about a minute:\n\n" + about.String(),
		Example: "  pmk bench\n  pmk bench chain.none latency --json\n  pmk bench --nodes 2\n  pmk bench --nodes 11",
		RunE: func(cmd *cobra.Command, names []string) error {
			if asNode {
				// The terminal's Ctrl-C is for the process that measures.
				signal.Ignore(os.Interrupt, syscall.SIGTERM)
				return bench.ServeOther(cmd.Context(), a.in)
			}
			all := bench.All()
			if len(names) == 0 {
				all = bench.Usual()
			}
			if nodes != 1 {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				if all, err = bench.Over(nodes, func() *exec.Cmd { return exec.Command(self, "bench", "--as-node") }); err != nil {
					return usageError{err}
				}
			}
			picked, err := bench.Select(all, names)
			if err != nil && nodes != 1 {
				err = fmt.Errorf("with --nodes %d, %w", nodes, err)
			}
			if err != nil {
				return usageError{err}
			}
			env := bench.Env{Kinds: a.program.kindsIn("", a.settings.python(), load.NewUses()), Load: load.File}
			results := []bench.Result{}
			for _, b := range picked {
				if !asJSON && isTerminal(a.err) {
					fmt.Fprintf(a.err, "\r\x1b[Kmeasuring %s: %s", b.Name, b.About)
				}
				got, err := b.Run(cmd.Context(), env)
				if err != nil {
					return fmt.Errorf("%s: %w", b.Name, err)
				}
				results = append(results, got...)
			}
			if !asJSON && isTerminal(a.err) {
				fmt.Fprint(a.err, "\r\x1b[K")
			}
			return a.printBench(bench.ThisMachine(), results, asJSON)
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 1, "with 2, measure chain.disk.two and latency.disk.two, with the transform on the other node; with more, measure replicas of it on all others")
	cmd.Flags().BoolVar(&asNode, "as-node", false, "be the other node of a measurement")
	_ = cmd.Flags().MarkHidden("as-node") // it is there
	jsonFlag(cmd, &asJSON)
	cmd.AddCommand(a.benchScaleCommand())
	return cmd
}
