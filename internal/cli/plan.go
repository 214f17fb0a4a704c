package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
)

func (a *app) planCommand() *cobra.Command {
	var f nodeFlags
	var most int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "plan FROM TO [PATH...]", Short: "Show the paths from one state to another, shortest first",
		Long: `plan shows through which seeds data gets from the state FROM to the state TO,
shortest path first, or what is missing. The network is that of the seed files PATH
and of the seeds that your own program has compiled in. pmk without a PATH, or
--node NAME, asks the running node. It exits with 1 if there is no path.`,
		Example: "  pmk plan String:UNGREETED String:GREETING examples/helloworld/python\n  pmk plan Image:RAW Image:STACKED --json",
		Args:    usage(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := packet.ParseState(args[0])
			if err != nil {
				return usageError{fmt.Errorf("FROM: %w", err)}
			}
			to, err := packet.ParseState(args[1])
			if err != nil {
				return usageError{fmt.Errorf("TO: %w", err)}
			}
			n, err := a.networkOf(cmd.Context(), f, args[2:])
			if err != nil {
				return err
			}
			ways := n.Ways(from, to, most)
			var gap *dtn.Gap
			if len(ways) == 0 {
				gap = n.WhyNot(from, to)
			}
			return a.printPlan(from, ways, gap, asJSON)
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&most, "most", 10, "show at most `N` paths")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// A step is one of a way, in JSON.
type step struct {
	Seed  string       `json:"seed"`
	State packet.State `json:"state"`
}

func (a *app) printPlan(from packet.State, ways []dtn.Way, gap *dtn.Gap, asJSON bool) error {
	if asJSON {
		out := [][]step{}
		for _, way := range ways {
			steps := []step{}
			for _, s := range way {
				steps = append(steps, step{string(s.Seed), s.State})
			}
			out = append(out, steps)
		}
		if err := printJSON(a.out, map[string]any{"from": from, "ways": out, "missing": gap}); err != nil {
			return err
		}
	} else {
		for _, way := range ways {
			line := string(from)
			for _, s := range way {
				line += fmt.Sprintf(" --%s--> %s", s.Seed, s.State)
			}
			fmt.Fprintln(a.out, line)
		}
		if gap != nil {
			a.printGap(gap)
		}
	}
	if len(ways) == 0 {
		return errFindings
	}
	return nil
}

func (a *app) printGap(g *dtn.Gap) {
	fmt.Fprintf(a.out, "there is no path from %s to %s\n", g.From, g.To)
	say := func(what string, list []packet.State) {
		if len(list) > 0 {
			var names []string
			for _, s := range list {
				names = append(names, string(s))
			}
			fmt.Fprintf(a.out, "%s: %s\n", what, strings.Join(names, ", "))
		}
	}
	if g.NearFrom != "" {
		fmt.Fprintf(a.out, "no seed accepts %s; nearest accepted: %s\n", g.From, g.NearFrom)
	}
	if g.NearTo != "" {
		fmt.Fprintf(a.out, "no seed gives %s; nearest given: %s\n", g.To, g.NearTo)
	}
	say("data in "+string(g.From)+" can reach", g.Reached)
	say("states that lead to "+string(g.To), g.Leading)
	for _, join := range g.Joins {
		fmt.Fprintf(a.out, "the seed %s would lead on, but it is a join, and joins are not run yet\n", join)
	}
	fmt.Fprintf(a.out, "missing: a seed with the contract %s\n", g.Missing)
}
