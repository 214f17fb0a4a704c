package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

type waitingFlags struct {
	nodeFlags
	show  bool
	limit int
	attr  attributesFlag
	json  bool
}

func (a *app) waitingCommand() *cobra.Command {
	var f waitingFlags
	cmd := &cobra.Command{
		Use:   "waiting [STATE...]",
		Short: "Show what waits in the network, where and why",
		Long: `waiting lists the packets that no seed takes, on every node of the network: by
state, or by the inbox of a seed that no node hosts, with their number, their size
and the age of the oldest. Packets that are kept for a seed that is away are
among them. A packet whose last attempt failed waits in Error:SEED. With --show it
prints the packets themselves.`,
		Example: `  pmk waiting
  pmk waiting Error:greet --show
  pmk waiting Error:greet --show --json | jq .id`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.waiting(cmd.Context(), f, args) },
	}
	f.nodeFlags.add(cmd)
	cmd.Flags().BoolVar(&f.show, "show", false, "print the packets: id, data and error")
	cmd.Flags().IntVar(&f.limit, "limit", 20, "show at most `N` packets of a state")
	cmd.Flags().Var(&f.attr, "attr", "with --show, only packets with this attribute; may be given several times")
	jsonFlag(cmd, &f.json)
	return cmd
}

func (a *app) waiting(ctx context.Context, f waitingFlags, args []string) error {
	wanted, err := parseStates(args)
	if err != nil {
		return usageError{err}
	}
	if f.limit < 1 {
		return usageError{fmt.Errorf("--limit %d: expected at least 1", f.limit)}
	}
	if f.attr.all != nil && !f.show {
		return usageError{errors.New("--attr picks from what --show prints: give both")}
	}
	client, _, err := f.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Network(ctx)
	if err != nil {
		return err
	}
	waits := slices.DeleteFunc(sum.Waiting(all.Nodes), func(w sum.WaitingAt) bool { return len(wanted) > 0 && !wanted[w.State] })
	for _, m := range all.Nodes {
		if m.Trouble != "" {
			fmt.Fprintf(forPeople(a.err), "node %s does not answer; what waits there is not shown: %s\n", m.Node, m.Trouble)
		}
	}
	if f.show {
		return a.showWaiting(ctx, client.Everywhere(), f, waits)
	}
	if f.json {
		return printJSON(a.out, waits)
	}
	if len(waits) == 0 {
		fmt.Fprintln(a.err, "nothing waits")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	printWaiting(w, waits, len(all.Nodes) > 1)
	return w.Flush()
}

// printWaiting writes a table of what waits; over several nodes it says where.
func printWaiting(w io.Writer, waits []sum.WaitingAt, several bool) {
	where := func(node string) string {
		if !several {
			return ""
		}
		return "\t" + node
	}
	fmt.Fprintf(w, "WAITING IN%s\tPACKETS\tSIZE\tOLDEST\tWHY\n", where("NODE"))
	for _, q := range waits {
		fmt.Fprintf(w, "%s%s\t%d\t%s\t%s\t%s\n", q.Place(), where(q.Node), q.Packets, bytesText(q.Bytes), age(q.Since), q.Why)
	}
}

func (a *app) showWaiting(ctx context.Context, client *api.Client, f waitingFlags, waits []sum.WaitingAt) error {
	packets := map[packet.State]int{}
	for _, q := range waits {
		packets[q.State] += q.Packets
	}
	delete(packets, "") // inboxes: their packets are for their seeds
	for _, state := range slices.Sorted(maps.Keys(packets)) {
		err := client.EachInState(ctx, state, api.Ask{Limit: f.limit, Bytes: store.MaxInline, Waiting: true, Attributes: f.attr.all}, func(p api.Packet) error {
			if f.json {
				return printJSON(a.out, p)
			}
			a.printPacket(&p)
			return nil
		})
		if err != nil {
			return err
		}
		if more := packets[state] - f.limit; more > 0 && !f.json && f.attr.all == nil { // of these it is not known
			fmt.Fprintf(a.out, "... and %s more of %s; --limit %d shows them\n", english.Plural(more, "packet", ""), state, packets[state])
		}
	}
	return nil
}

func (a *app) printPacket(p *api.Packet) {
	fmt.Fprintf(a.out, "%s  %s  %s\n", p.ID, p.State, excerpt(&p.Data))
	if len(p.Attributes) > 0 {
		line := " "
		for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
			line += fmt.Sprintf(" %s=%q", name, p.Attributes[name])
		}
		fmt.Fprintln(a.out, line)
	}
	if f := p.Fault; f != nil {
		failed := "failed"
		if f.Attempts > 0 {
			failed += " after " + english.Plural(f.Attempts, "attempt", "")
		}
		fmt.Fprintf(a.out, "  was %s, %s: %s\n", f.State, failed, f.Error)
		for line := range strings.Lines(f.Output) {
			fmt.Fprintf(a.out, "    %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
}

// excerpt is the begin of a packet's data on one line.
func excerpt(data *api.Data) string {
	const most = 60
	switch line := []rune(*cmp.Or(data.Text, new(string))); {
	case data.Cut:
		return "(" + bytesText(data.Size) + ")"
	case data.Text == nil:
		return fmt.Sprintf("(%s that are no text)", bytesText(data.Size))
	case len(line) > most:
		return fmt.Sprintf("%q... (%s)", string(line[:most]), bytesText(data.Size))
	default:
		return fmt.Sprintf("%q", *data.Text)
	}
}

func parseStates(args []string) (map[packet.State]bool, error) {
	states := map[packet.State]bool{}
	for _, arg := range args {
		state, err := packet.ParseState(arg)
		if err != nil {
			return nil, err
		}
		states[state] = true
	}
	return states, nil
}

// selection reads STATE and ID arguments. Of the states it is what has the attributes.
func selection(args []string, attributes packet.Attributes) (api.Selection, error) {
	sel := api.Selection{Attributes: attributes}
	for _, arg := range args {
		if strings.Contains(arg, ":") {
			state, err := packet.ParseState(arg)
			if err != nil {
				return sel, err
			}
			sel.States = append(sel.States, state)
			continue
		}
		id, err := packet.ParseID(arg)
		if err != nil {
			return sel, fmt.Errorf("%q is neither a state, Type:NAME, nor an id: %w", arg, err)
		}
		sel.IDs = append(sel.IDs, id)
	}
	return sel, sel.Check()
}

const pickUsage = "of the states, only packets with this attribute; may be given several times"

// what says what is selected, for a question.
func what(args []string, sel api.Selection) string {
	text := strings.Join(args, ", ")
	if len(sel.Attributes) > 0 {
		text += " with " + sel.Attributes.Text()
	}
	return text
}

func (a *app) retryCommand() *cobra.Command {
	var f nodeFlags
	var attr attributesFlag
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "retry STATE|ID...",
		Short: "Send waiting packets on",
		Long: `retry sends waiting packets on: all packets in a state, or single ones by their id.
A packet that failed gets its state back, keeps its id, and goes to the seed that
failed, with all its attempts again.`,
		Example: "  pmk retry Error:greet\n  pmk retry Error:align --attr sample=S07\n  pmk retry 5e0c0d3f4b7a4c5d8f0e1a2b3c4d5e6f",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := selection(args, attr.all)
			if err != nil {
				return usageError{err}
			}
			return a.handle(cmd.Context(), f, sel, asJSON, "sent on", (*api.Client).Retry)
		},
	}
	f.add(cmd)
	cmd.Flags().Var(&attr, "attr", pickUsage)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) dropCommand() *cobra.Command {
	var f nodeFlags
	var attr attributesFlag
	var asJSON, yes bool
	cmd := &cobra.Command{
		Use:     "drop STATE|ID...",
		Short:   "End waiting packets for good",
		Long:    "drop ends waiting packets: all packets in a state, or single ones by their id. They\nare gone for good, so it asks first.",
		Example: "  pmk drop Error:greet\n  pmk drop --yes String:GREETNG",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := selection(args, attr.all)
			if err != nil {
				return usageError{err}
			}
			if !yes {
				if err := a.confirm("end " + what(args, sel) + " for good?"); err != nil {
					return err
				}
			}
			return a.handle(cmd.Context(), f, sel, asJSON, "ended", (*api.Client).Drop)
		},
	}
	f.add(cmd)
	cmd.Flags().Var(&attr, "attr", pickUsage)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// canAsk tells whether there is a terminal to ask on.
func (a *app) canAsk() bool {
	file, ok := a.in.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}

var errNo = errors.New("nothing was dropped")

// confirm asks on the terminal; without one only --yes is an answer.
func (a *app) confirm(question string) error {
	if !a.canAsk() {
		return usageError{errors.New("drop asks first, and there is no terminal to ask on: say --yes if you mean it")}
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNo
}

func (a *app) handle(ctx context.Context, f nodeFlags, sel api.Selection, asJSON bool, done string, do func(*api.Client, context.Context, api.Selection) (int, error)) error {
	client, _, err := f.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	count, err := do(client.Everywhere(), ctx, sel)
	if asJSON && err == nil {
		return printJSON(a.out, api.Handled{Count: count})
	}
	if count > 0 || err == nil {
		fmt.Fprintf(a.err, "%s %s\n", english.Plural(count, "packet", ""), done)
	}
	return err
}
