package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/packet"
)

func (a *app) forgetCommand() *cobra.Command {
	var f nodeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "forget [SEED|NODE]", Short: "Keep no more packets for a seed or a node that is away",
		Long: `forget ends what is kept for a seed that no node hosts now, or for all seeds that
only the node NODE hosted. The seed accepts nothing from then on, until a node hosts
it again. What only it had accepted goes to other seeds that accept it, or waits under
its state; copies of what other seeds had as well are dropped. Without a name it asks
about each seed that is away; without a terminal it lists them.`,
		Example: "  pmk forget\n  pmk forget archive\n  pmk forget server-1a2b3c4d",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.forgetEach(cmd.Context(), f, asJSON)
			}
			if err := packet.CheckName("name", args[0]); err != nil {
				return usageError{err}
			}
			client, _, err := f.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			return a.forget(cmd.Context(), client, args[0], asJSON)
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) forget(ctx context.Context, client *api.Client, name string, asJSON bool) error {
	out, err := client.Everywhere().ForgetSeeds(ctx, name)
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(a.out, out)
	case len(out.Seeds) == 0:
		fmt.Fprintf(a.err, "%s is forgotten; its seeds are on other nodes as well\n", name)
		return nil
	}
	for _, s := range out.Seeds {
		fmt.Fprintf(a.err, "nothing is kept for the seed %s any more\n", s)
	}
	if out.Routed > 0 {
		fmt.Fprintf(a.err, "%s sent on\n", english.Plural(out.Routed, "packet", ""))
	}
	if out.Dropped > 0 {
		fmt.Fprintf(a.err, "%s dropped, since other seeds had the packets as well\n", english.Plural(out.Dropped, "copy", "copies"))
	}
	if out.Left > 0 {
		fmt.Fprintf(a.err, "%s left, at work or to be tried again later: 'pmk forget %s' takes what is left then\n", english.Plural(out.Left, "packet is", "packets are"), name)
	}
	return nil
}

// forgetEach asks about each seed that is away, or lists them where it cannot ask.
func (a *app) forgetEach(ctx context.Context, f nodeFlags, asJSON bool) error {
	client, _, err := f.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Network(ctx)
	if err != nil {
		return err
	}
	away := sum.Away(all.Nodes)
	if asJSON {
		return printJSON(a.out, away)
	}
	if len(away) == 0 {
		fmt.Fprintln(a.err, "no seed is away")
		return nil
	}
	for i := range away {
		line := sum.Kept(&away[i])
		if !a.canAsk() {
			fmt.Fprintln(a.out, line)
			continue
		}
		err := a.confirm(line + ": forget the seed?")
		if err == nil {
			err = a.forget(ctx, client, string(away[i].Seed), false)
		}
		if err != nil && !errors.Is(err, errNo) {
			return err
		}
	}
	if !a.canAsk() {
		fmt.Fprintln(a.err, "'pmk forget SEED' keeps no more for one of them")
	}
	return nil
}
