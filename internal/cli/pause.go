package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

func (a *app) pauseCommand() *cobra.Command {
	return a.haltCommand(&cobra.Command{
		Use: "pause SEED... | --all", Short: "Stop seeds from taking packets, until they are resumed",
		Long: `pause stops seeds from taking packets, on all nodes or, with --on, on one. Runs
that have begun finish. Queued packets go to the seed's inbox in the store, and so
do packets that come later; nothing is lost. An injector waits in its next output.
A pause lasts until 'pmk resume', or until the node ends.`,
		Example: "  pmk pause greet\n  pmk pause greet --on server-1a2b3c4d\n  pmk pause --all",
	}, "pause", "paused")
}

func (a *app) resumeCommand() *cobra.Command {
	return a.haltCommand(&cobra.Command{
		Use: "resume SEED... | --all", Short: "Let paused seeds take packets again",
		Long:    "resume lets paused seeds take packets again, on all nodes or, with --on, on one,\nbeginning with those in their inboxes.",
		Example: "  pmk resume greet\n  pmk resume --all",
	}, "resume", "resumed")
}

// haltCommand completes the two.
func (a *app) haltCommand(cmd *cobra.Command, verb, done string) *cobra.Command {
	var f nodeFlags
	var on string
	var asJSON, every bool
	cmd.Args = usage(func(cmd *cobra.Command, args []string) error {
		if every {
			return cobra.NoArgs(cmd, args)
		}
		return cobra.MinimumNArgs(1)(cmd, args)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range args {
			if err := packet.CheckName("seed's name", name); err != nil {
				return usageError{err}
			}
		}
		client, _, err := f.client(cmd.Context())
		if err != nil {
			return err
		}
		defer client.Close()
		if every {
			network, err := client.Network(cmd.Context())
			if err != nil {
				return err
			}
			if args = seedsOn(network, on); len(args) == 0 {
				return fmt.Errorf("%s hosts no seed; 'pmk ps' shows the nodes and what they host", cmp.Or(on, "the network"))
			}
		}
		all := map[string][]string{}
		for _, name := range args {
			nodes, err := client.Everywhere().Turn(cmd.Context(), seed.Name(name), verb, on)
			if err != nil {
				return err
			}
			all[name] = nodes
			if !asJSON {
				fmt.Fprintf(a.err, "seed %s %s on %s\n", name, done, strings.Join(nodes, ", "))
			}
		}
		if asJSON {
			return printJSON(a.out, all)
		}
		return nil
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&every, "all", false, "all seeds that nodes host now")
	cmd.Flags().StringVar(&on, "on", "", "only on the node of this `NAME`")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// seedsOn are the names of the seeds that nodes host, or one of them.
func seedsOn(network api.Network, on string) []string {
	names := map[string]bool{}
	for _, m := range network.Nodes {
		for _, s := range m.Seeds {
			if on == "" || m.Node == on {
				names[string(s.Manifest.Name)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
