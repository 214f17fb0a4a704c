package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/node"
)

func (a *app) psCommand() *cobra.Command {
	var f nodeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "ps", Short: "Show what the running node does: seeds, counts, queues, what waits",
		Example: "  pmk ps\n  pmk ps --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := f.status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.out, st)
			}
			return a.printStatus(st)
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (f *nodeFlags) status(ctx context.Context) (node.Status, error) {
	client, _, err := f.client(ctx)
	if err != nil {
		return node.Status{}, err
	}
	defer client.Close()
	return client.Status(ctx)
}

func (a *app) printStatus(st node.Status) error {
	fmt.Fprintf(a.out, "node %s, group %s, run %s, up %s\n\n", st.Node, st.Group, st.Run, age(st.Since))
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEED\tKIND\tCONTRACT\tIN\tOUT\tFAILED\tQUEUED\tRUNNING\tCOST")
	for _, s := range st.Seeds {
		cost := "-"
		if s.Cost > 0 {
			cost = s.Cost.Round(roundTo(s.Cost)).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d/%d\t%s\n", s.Manifest.Name, s.Manifest.Kind, s.Manifest.Contract,
			s.In, s.Out, s.Failed, s.Queued, s.Running, s.Workers, cost)
	}
	if len(st.Waiting) > 0 {
		fmt.Fprintln(w, "\nWAITING\tPACKETS\tSIZE\tFOR\tWHY")
		for _, q := range st.Waiting {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", q.State, q.Packets, bytesText(q.Bytes), age(q.Since), q.Why)
		}
	}
	return w.Flush()
}

// roundTo keeps about two digits of d.
func roundTo(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for unit*100 < d {
		unit *= 10
	}
	return unit
}
