package cli

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/bench"
)

func (a *app) benchScaleCommand() *cobra.Command {
	var asJSON, asNode bool
	var s bench.Scale
	cmd := &cobra.Command{
		Use: "scale [seeds|backlog]", Short: "Measure what a node costs as its work grows",
		Long: `scale measures nodes in processes of their own: packets/s with 1, 10, 100 and
1,000 chains of seeds, packets/s and memory with up to 10,000,000 packets in an
inbox, and the start with those. It takes some minutes and some gigabytes of disk
in the working folder, which it removes at its end.`,
		Example: "  pmk bench scale\n  pmk bench scale --backlog 1000000 --json",
		Args:    usage(cobra.OnlyValidArgs), ValidArgs: bench.Parts,
		RunE: func(cmd *cobra.Command, parts []string) error {
			s.Only = parts
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if asNode {
				// The terminal's Ctrl-C is for the process that measures: it
				// ends this one.
				signal.Ignore(os.Interrupt, syscall.SIGTERM)
				return bench.ServeScale(cmd.Context(), a.in, a.out)
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			s.Command = func() *exec.Cmd { return exec.Command(self, "bench", "scale", "--as-node") }
			s.Note = func(text string) { fmt.Fprintln(a.err, text) }
			if !asJSON && isTerminal(a.err) {
				s.Progress = a.progress()
			}
			fmt.Fprintf(a.err, "this takes up to %s of disk in the working folder\n", bytesText(s.Needs()))
			results, err := s.Run(ctx)
			if s.Progress != nil {
				fmt.Fprint(a.err, "\r\x1b[K")
			}
			if err != nil {
				return err
			}
			return a.printBench(bench.ThisMachine(), results, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&s.Backlog, "backlog", 10_000_000, "the size of the largest backlog, in packets")
	flags.Int64Var(&s.Packets, "packets", 400_000, "how many packets pass through the chains of a figure")
	flags.BoolVar(&asNode, "as-node", false, "be a node that is measured")
	_ = flags.MarkHidden("as-node") // it is there
	jsonFlag(cmd, &asJSON)
	return cmd
}

// progress writes what is under way over what was before, a few times a second.
func (a *app) progress() func(string) {
	var last time.Time
	return func(text string) {
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		fmt.Fprintf(a.err, "\r\x1b[K%s", text)
	}
}

func (a *app) printBench(m bench.Machine, results []bench.Result, asJSON bool) error {
	if asJSON {
		return printJSON(a.out, map[string]any{"machine": m, "results": results})
	}
	fmt.Fprintf(a.out, "%s: %s, %d CPUs, %s/%s, %s\n\n", m.Name, m.CPU, m.CPUs, m.OS, m.Arch, m.Go)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range results {
		format := "%s\t%.1f\t%s\t\n"
		if r.Value >= 1000 {
			format = "%s\t%.0f\t%s\t\n"
		}
		fmt.Fprintf(w, format, r.Name, r.Value, r.Unit)
	}
	return w.Flush()
}
