package cli

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/cli/top"
	"github.com/recap/pumpkin/seed"
)

// turn pauses a seed on all nodes, or resumes it.
func (f *nodeFlags) turn(ctx context.Context, name seed.Name, pause bool) error {
	client, _, err := f.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	verb := "resume"
	if pause {
		verb = "pause"
	}
	_, err = client.Everywhere().Turn(ctx, name, verb, "")
	return err
}

func (a *app) topCommand() *cobra.Command {
	var f nodeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "top", Short: "Watch the network in the terminal: rates, queues, what waits",
		Long: `top shows the whole network and updates it every second: for each seed the packets
per second in and out, its backlog and when that will be done; the nodes; and what
waits. Keys: up and down (or k, j) move, enter shows one seed, p pauses it on all
nodes or resumes it, s sorts by the next column, q quits. Without a terminal it
prints the figures of one second and ends.`,
		Example: "  pmk top\n  pmk top --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			client, _, err := f.client(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			in, inOK := a.in.(*os.File)
			out, outOK := fileOf(a.out)
			if !asJSON && inOK && outOK && isTerminal(in) && isTerminal(out) {
				// A node that was started again is another one to reach.
				return top.Run(ctx, in, out, os.Getenv("NO_COLOR") == "", f.network, f.turn)
			}
			sample, err := top.Once(ctx, client.Network)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.out, sample)
			}
			for _, line := range top.Draw(top.View{Sample: sample}, top.Screen{Width: 160, Height: math.MaxInt32}) {
				fmt.Fprintln(a.out, line)
			}
			return nil
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}
