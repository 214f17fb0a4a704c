package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/seed"
)

func (a *app) psCommand() *cobra.Command {
	var f nodeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "ps", Short: "Show what the network does: nodes, seeds, counts, queues, what waits",
		Long: `ps shows the whole network, as any of its nodes knows it: the nodes, and for each
seed on each node

  IN, OUT, FAILED  packets taken (retries too) and given, runs that failed
  STORED           packets in its inboxes in the stores of all nodes
  QUEUED           packets in its queue in memory
  RUNNING          workers that have packets, of the most there may be
  PER PACKET       how long one packet takes one worker
  ETA              when its backlog will be done, on all nodes; ± is the usual error

and the packets that wait: where, since when the oldest, and why. Below NOT
REACHED are nodes that the node that was asked has seen and does not reach, or
that do not reach it, and what to do about it.`,
		Example: "  pmk ps\n  pmk ps --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := f.network(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.out, all)
			}
			return a.printNetwork(all)
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// network asks the running node what all nodes do.
func (f *nodeFlags) network(ctx context.Context) (api.Network, error) {
	client, _, err := f.client(ctx)
	if err != nil {
		return api.Network{}, err
	}
	defer client.Close()
	return client.Network(ctx)
}

// status asks the running node what it does itself.
func (f *nodeFlags) status(ctx context.Context) (api.Status, error) {
	client, _, err := f.client(ctx)
	if err != nil {
		return api.Status{}, err
	}
	defer client.Close()
	return client.Status(ctx)
}

func (a *app) printNetwork(all api.Network) error {
	own, several := all.Nodes[0], len(all.Nodes) > 1
	fmt.Fprintf(a.out, "node %s, group %s, start %s, up %s\n\n", own.Node, own.Group, own.Run, age(own.Since))
	if all.Copied != "" {
		fmt.Fprintf(a.out, "%s\n\n", whole(all.Copied))
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if several {
		printNodes(w, all.Nodes)
	}
	printSeeds(w, all)
	waits := sum.Waiting(all.Nodes)
	if len(waits) > 0 {
		fmt.Fprintln(w)
		printWaiting(w, waits, several)
	}
	for _, found := range sum.Findings(&all, time.Now()) {
		fmt.Fprintf(w, "\n%s\n", found.Text)
	}
	printUnmet(w, all)
	printFolders(w, all)
	printInterpreters(w, all)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if !several {
		fmt.Fprintln(a.out, storeLine(own.Store))
	}
	for _, m := range all.Nodes {
		for _, line := range m.Store.Damage {
			if several {
				line = m.Node + ": " + line
			}
			fmt.Fprintln(a.out, "  damaged: "+line)
		}
	}
	return nil
}

// printFolders writes what became of the files of folders that are watched.
func printFolders(w io.Writer, all api.Network) {
	for _, m := range all.Nodes {
		for _, f := range m.Folders {
			line := english.Plural(f.Taken, "file", "") + " taken"
			for _, also := range []struct {
				count int
				what  string
			}{{f.Refused, "refused"}, {f.Left, "left alone"}, {f.Changing, "still changing"}} {
				if also.count > 0 {
					line += fmt.Sprintf(", %d %s", also.count, also.what)
				}
			}
			fmt.Fprintf(w, "\nfolder %s of %s: %s\n", f.Dir, m.Node, line)
		}
	}
}

// printNodes writes the nodes of a network, each with how it is reached.
func printNodes(w io.Writer, nodes []api.Member) {
	fmt.Fprintln(w, "NODE\tADDRESS\tVERSION\tUP\tSTORE")
	for _, m := range nodes {
		at, up, store := cmp.Or(m.At, "this node"), "-", strings.TrimPrefix(storeLine(m.Store), "store: ")
		switch {
		case m.Trouble != "":
			store = "does not answer: " + m.Trouble
		case m.Leaving:
			up = "ending"
		default:
			up = age(m.Since)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Node, at, cmp.Or(m.Version, "-"), up, store)
	}
	fmt.Fprintln(w)
}

// printSeeds writes what each node does with each seed.
func printSeeds(w io.Writer, all api.Network) {
	nodes := all.Nodes
	several := len(nodes) > 1
	where := func(node string) string {
		if !several {
			return ""
		}
		return "\t" + node
	}
	fmt.Fprintf(w, "SEED%s\tKIND\tCONTRACT\tIN\tOUT\tFAILED\tSTORED\tQUEUED\tRUNNING\tPER PACKET\tETA\n", where("NODE"))
	ahead := map[seed.Name]predict.Drain{}
	for _, a := range all.Ahead {
		ahead[a.Seed] = a.Drain
	}
	type row struct {
		node string
		api.SeedStatus
	}
	var rows []row
	for _, m := range nodes {
		for _, s := range m.Seeds {
			rows = append(rows, row{m.Node, s})
		}
	}
	stored := sum.Stored(nodes)
	if several { // replicas side by side
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.Manifest.Name, b.Manifest.Name) })
	}
	for _, s := range rows {
		cost, left := "-", "-"
		if s.Cost > 0 {
			cost = s.Cost.Round(roundTo(s.Cost)).String()
		}
		if d := ahead[s.Manifest.Name]; d.Time > 0 {
			left = drainText(d)
		}
		running := fmt.Sprintf("%d/%d", s.Running, s.Workers)
		switch i := s.Injector; {
		case s.NotLoaded != "":
			running = "not loaded"
		case s.Loading:
			running = "loading"
		case s.Paused:
			running = "paused"
		case i != nil && i.State != api.InjectorRunning:
			running = string(i.State)
		}
		name := string(s.Manifest.Name)
		if v := s.Manifest.Version; several && v != "" {
			name += "@" + shortVersion(v)
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", name, where(s.node), s.Manifest.Kind, s.Manifest.Contract,
			s.In, s.Out, s.Failed, stored[s.Manifest.Name], s.Queued, running, cost, left)
	}
}

// shortVersion is enough of a version to tell it from others: of the file's, and of what the seed
// uses.
func shortVersion(v string) string {
	own, used, more := strings.Cut(v, seed.VersionSeparator)
	own = own[:min(len(own), 7)]
	if !more {
		return own
	}
	return own + seed.VersionSeparator + used[:min(len(used), 4)]
}

// drainText is when a seed will be through, and how exact that is.
func drainText(d predict.Drain) string {
	return fmt.Sprintf("%s ±%.0f%%", d.Time.Round(roundTo(d.Time)), 100*d.Error)
}

// printInterpreters writes which Python runs which seeds.
func printInterpreters(w io.Writer, all api.Network) {
	several := len(all.Nodes) > 1
	for _, m := range all.Nodes {
		by := map[string][]string{}
		for _, s := range m.Seeds {
			if s.Interpreter != "" {
				by[s.Interpreter] = append(by[s.Interpreter], string(s.Manifest.Name))
			}
		}
		for _, interpreter := range slices.Sorted(maps.Keys(by)) {
			at := ""
			if several {
				at = " on " + m.Node
			}
			fmt.Fprintf(w, "\n%s runs %s%s\n", interpreter, strings.Join(by[interpreter], ", "), at)
		}
	}
}

// printUnmet writes which nodes are not reached and why, and what to do.
func printUnmet(w io.Writer, all api.Network) {
	var strangers []string
	begun := false
	for _, o := range all.Outsiders {
		if o.Stranger {
			strangers = append(strangers, strings.TrimPrefix(o.At, "tcp://"))
			continue
		}
		if !begun {
			begun = true
			fmt.Fprintln(w, "\nNOT REACHED\tADDRESS\tSINCE\tKNOWN BY\tREASON\tWHY AND WHAT TO DO")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", whole(cmp.Or(o.Node, "unknown")), whole(o.At), age(o.Since), o.By, o.Reason, whole(unmetText(&o)))
	}
	if len(strangers) > 0 {
		fmt.Fprintf(w, "\nnearby, with another key or in another group: %s\n", strings.Join(strangers, ", "))
	}
}

// unmetText says why a node is not reached, and what to do.
func unmetText(o *api.Outsider) string {
	if o.Next == "" {
		return o.Why
	}
	return o.Why + ": " + o.Next
}

// storeLine says how the store does.
func storeLine(s api.Store) string {
	line := "store: " + s.Durability + ", " + bytesText(s.Used)
	if s.Size > 0 {
		line += fmt.Sprintf(" of %s (%d %%)", bytesText(s.Size), 100*s.Used/s.Size)
	}
	if why := s.Held; why != "" {
		line += "; injectors and senders wait: " + why
	}
	return line
}

// roundTo keeps about two digits of d.
func roundTo(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for unit*100 < d {
		unit *= 10
	}
	return unit
}
