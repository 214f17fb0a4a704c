package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/inject"
	"github.com/recap/pumpkin/packet"
)

type sendFlags struct {
	nodeFlags
	file  string
	lines bool
	goal  string
	stop  string
	track bool
	wait  bool
	trace string
	id    string
	attr  attributesFlag
	json  bool
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send STATE [DATA | -]",
		Short: "Send packets into the running node",
		Long: `send gives the running node a packet in the state STATE. Its data is DATA, or
standard input for -, or a file. It returns when the node has stored the packet,
and prints the packet's id, or with --json also its ship, node and state; while the
store is full it waits. With --wait it returns when everything that comes of the
packet has ended or waits. The exit status is then 0 if all has ended, 6 if a
packet failed and waits in an Error: state, 5 if a packet waits for a seed, or is
kept for one that is away.`,
		Example: `  pmk send String:UNGREETED Mars
  cat names.txt | pmk send String:UNGREETED --lines
  pmk send Reads:RAW --file S07.fastq.gz --attr sample=S07 --attr lane=2
  pmk send Image:RAW --file m31.fits --goal Image:CALIBRATED`,
		Args: usage(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.send(cmd.Context(), f, args) },
	}
	f.nodeFlags.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.file, "file", "", "the data is this `FILE`")
	flags.BoolVar(&f.lines, "lines", false, "a packet for each line of standard input, or of --file")
	flags.StringVar(&f.goal, "goal", "", "follow only paths that lead to this `STATE`")
	flags.Var((*nameFlag)(&f.stop), "stop", "stop after the seed of this `NAME`")
	flags.BoolVar(&f.track, "track", false, "keep the data of every hop, 256 KiB in all")
	flags.BoolVar(&f.wait, "wait", false, "return when all that comes of the packets has ended or waits")
	flags.Var(&f.attr, "attr", "an attribute of the packets, which what comes of them inherits; may be given several times")
	flags.StringVar(&f.id, "id", "", "the packet's `ID`, 32 hexadecimal digits (default: random); one that the node has taken within a day is not taken again. With --lines, the packets' ids are made of it")
	flags.StringVar(&f.trace, "traceparent", "", "the trace and span that the packets belong to, `00-TRACE-SPAN-FLAGS` (default: $TRACEPARENT)")
	jsonFlag(cmd, &f.json)
	return cmd
}

// place is where the packets belong in a trace, as a traceparent; "" is nowhere.
func (f *sendFlags) place() (string, error) {
	if f.trace == "" {
		// One in the environment that is not in order counts as none.
		place, err := packet.ParseTraceparent(os.Getenv("TRACEPARENT"))
		if err != nil {
			return "", nil
		}
		return place.String(), nil
	}
	place, err := packet.ParseTraceparent(f.trace)
	return place.String(), err
}

func (a *app) send(ctx context.Context, f sendFlags, args []string) error {
	p := api.Sending{State: packet.State(args[0]), Stop: f.stop, Goal: packet.State(f.goal), Track: f.track, Attributes: f.attr.all}
	if _, err := packet.ParseState(args[0]); err != nil {
		return usageError{err}
	}
	if f.goal != "" {
		if _, err := packet.ParseState(f.goal); err != nil {
			return usageError{fmt.Errorf("--goal: %w", err)}
		}
	}
	var err error
	if p.Traceparent, err = f.place(); err != nil {
		return usageError{fmt.Errorf("--traceparent: %w", err)}
	}
	p.ID = packet.NewID()
	if f.id != "" {
		if p.ID, err = packet.ParseID(f.id); err == nil && p.ID.IsZero() {
			err = errors.New("an id of only zeros is not allowed")
		}
		if err != nil {
			return usageError{fmt.Errorf("--id: %w", err)}
		}
	}
	from, err := f.source(args[1:])
	if err != nil {
		return usageError{err}
	}
	in, done, err := a.open(from, args)
	if err != nil {
		return err
	}
	defer done()
	in = a.warnUTF16(in)
	client, name, err := f.client(ctx)
	if err != nil {
		return err
	}
	f.node = name // no other has the ledger, or knows what was taken
	to := &sender{node: name, find: f.client, client: client, away: nodeAway, say: func(line string) { fmt.Fprintln(a.err, line) }}
	defer func() { to.client.Close() }()
	if at, err := client.Status(ctx); err == nil { // else it goes as a sender does
		to.renamed = at.Store.Durability != api.OnDisk
	}
	if f.wait {
		p.Follow = packet.NewID()
	}
	held, stop := context.WithCancel(ctx)
	defer stop()
	go a.reportHeld(held, client)
	var one api.Sent
	if f.lines {
		err = to.all(ctx, eachLine(p, in))
	} else {
		one, err = to.one(ctx, p, in)
	}
	if err != nil {
		return again(p.ID, err)
	}
	switch {
	case f.wait:
		return a.await(ctx, f.nodeFlags, f.json, sent{p, f.lines, to.taken})
	case f.json && f.lines:
		return printJSON(a.out, map[string]any{"node": name, "taken": to.taken})
	case f.json:
		return printJSON(a.out, one)
	case f.lines:
		_, err = fmt.Fprintf(a.err, "%s sent to %s\n", english.Plural(to.taken, "packet", ""), name)
	default:
		_, err = fmt.Fprintln(a.out, one.ID)
	}
	return err
}

// source says where the data comes from: "-" for standard input, "=" for the
// argument, else a file.
func (f *sendFlags) source(data []string) (string, error) {
	switch {
	case f.file != "" && len(data) > 0:
		return "", errors.New("give DATA or --file, not both")
	case f.file != "":
		return f.file, nil
	case f.lines && (len(data) == 0 || data[0] == "-"):
		return "-", nil
	case f.lines:
		return "", errors.New("--lines reads standard input or --file, not DATA")
	case len(data) == 0:
		return "", errors.New("there is no data: give DATA, or - to read standard input, or --file")
	case data[0] == "-":
		return "-", nil
	}
	return "=", nil
}

func (a *app) open(from string, args []string) (io.Reader, func(), error) {
	switch from {
	case "=":
		return strings.NewReader(args[1]), func() {}, nil
	case "-":
		return a.in, func() {}, nil
	}
	file, err := os.Open(from)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return file, func() { file.Close() }, nil
}

// eachLine gives a packet for each line of r, without its end. Their ids are made of
// the id of p and the lines' numbers, so that whoever sends the same lines with the
// same id again sends none twice.
func eachLine(p api.Sending, r io.Reader) func() (api.Sending, error) {
	lines, id := inject.NewLines(r, 0), p.ID
	number := uint64(0)
	return func() (api.Sending, error) {
		data, err := lines.Next()
		p.ID, p.Data = id.Output(number), data
		number++
		return p, err
	}
}

// again adds to the error of a sending of which it is not known what was taken how it
// can be sent again. A node that ends says what it did not take of the last request, and
// nothing of those before it that had no answer.
func again(id packet.ID, err error) error {
	var problem *api.Problem
	refused := errors.As(err, &problem) && problem.Status != http.StatusServiceUnavailable
	if err == nil || refused || errors.As(err, new(usageError)) {
		return err
	}
	return fmt.Errorf("%w; if it is sent again with --id %s, nothing of it is taken twice", err, id)
}
