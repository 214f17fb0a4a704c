package cli

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/trace"
)

func (a *app) traceCommand() *cobra.Command {
	var f nodeFlags
	var data, ascii, asJSON bool
	cmd := &cobra.Command{
		Use: "trace ID|SHIP", Short: "Show what became of a packet and its family",
		Long: `trace draws everything that came of one injected packet, as a tree: which seed ran
on which node, when, for how long and with which result; and what waits, and why.
ID is the id of any packet of the family, SHIP its ship, NODE:ID; the first digits
of either are enough. All nodes of the network are asked. They keep the runs of
packets that have ended for a while, at high load only for a sample, and the data
too of what was sent with --track.`,
		Example: "  pmk trace 5e0c0d3f\n  pmk trace 5e0c0d3f --data\n  pmk trace node-1a2b3c4d:5e0c0d3f --json",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := trace.ParsePrefix(args[0]); err != nil {
				return usageError{fmt.Errorf("%w; 'pmk send' prints the id, and the log and 'pmk waiting --show' have it beside the name of a file", err)}
			}
			client, _, err := f.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			t, err := client.Trace(cmd.Context(), args[0])
			var problem *api.Problem
			if errors.As(err, &problem) && problem.Status == http.StatusConflict {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.out, t)
			}
			return trace.Text(a.out, t, data, ascii)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&data, "data", false, "with the data that went in and came out, of packets sent with --track")
	cmd.Flags().BoolVar(&ascii, "ascii", false, "without box-drawing characters")
	jsonFlag(cmd, &asJSON)
	return cmd
}
