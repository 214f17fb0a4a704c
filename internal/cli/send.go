package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	json  bool
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send STATE [DATA | -]",
		Short: "Send packets into the running node",
		Long: `send gives the running node a packet in the state STATE. Its data is DATA, or
standard input for -, or a file. It returns when the node has stored the packet,
and prints the packet's id, or with --json the packet as a .pkt file; while the
store is full it waits. With --wait it returns when everything that comes of the
packet has ended or waits. The exit status is then 0 if all has ended, 6 if a
packet failed and waits in an Error: state, 5 if a packet waits for a seed, or is
kept for one that is away.`,
		Example: `  pmk send String:UNGREETED Mars
  cat names.txt | pmk send String:UNGREETED --lines
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
	parcel := api.Parcel{State: packet.State(args[0]), Stop: f.stop, Goal: packet.State(f.goal), Track: f.track}
	if _, err := packet.ParseState(args[0]); err != nil {
		return usageError{err}
	}
	if f.goal != "" {
		if _, err := packet.ParseState(f.goal); err != nil {
			return usageError{fmt.Errorf("--goal: %w", err)}
		}
	}
	var err error
	if parcel.Traceparent, err = f.place(); err != nil {
		return usageError{fmt.Errorf("--traceparent: %w", err)}
	}
	parcel.ID = packet.NewID()
	if f.id != "" {
		if parcel.ID, err = packet.ParseID(f.id); err == nil && parcel.ID.IsZero() {
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
	to := &sending{node: name, find: f.client, client: client, away: nodeAway, say: func(line string) { fmt.Fprintln(a.err, line) }}
	defer func() { to.client.Close() }()
	if at, err := client.Status(ctx); err == nil { // else it goes as sending does
		to.renamed = at.Store.Durability != api.OnDisk
	}
	if f.wait {
		parcel.Follow = packet.NewID()
	}
	next := once(parcel, in)
	if f.lines {
		next = eachLine(parcel, in)
	}
	held, stop := context.WithCancel(ctx)
	defer stop()
	go a.tellWhenHeld(held, client)
	if !f.lines && !f.json && from != "=" {
		return again(parcel.ID, a.sendData(ctx, f, to, parcel, in))
	}
	var last api.Parcel
	err = to.all(ctx, func() (api.Parcel, error) {
		parcel, err := next()
		if err == nil {
			last = parcel
		}
		return parcel, err
	})
	if err != nil {
		return again(parcel.ID, err)
	}
	switch {
	case f.wait:
		return a.await(ctx, f, sent{parcel, f.lines, to.taken})
	case f.json && f.lines:
		return printJSON(a.out, map[string]any{"node": name, "taken": to.taken})
	case f.json:
		return printJSON(a.out, file(last, name, f.group))
	case f.lines:
		_, err = fmt.Fprintf(a.err, "%s sent to %s\n", english.Plural(to.taken, "packet", ""), name)
	default:
		_, err = fmt.Fprintln(a.out, last.ID)
	}
	return err
}

// sendData sends one packet whose data is all that in gives. Of a file it is sent again
// where the node was away.
func (a *app) sendData(ctx context.Context, f sendFlags, to *sending, parcel api.Parcel, in io.Reader) error {
	var err error
	if file, from, size := regular(in); file != nil {
		to.tried = 1
		err = to.keep(ctx, func(ctx context.Context) error {
			// Each attempt has a reader of its own: what sends closes what it is given, and
			// may still read it when it has failed.
			err := to.client.SendData(ctx, parcel, io.NewSectionReader(file, from, size), size)
			if info, unreadable := file.Stat(); err != nil && (unreadable != nil || info.Size() < from+size) {
				return &fs.PathError{Op: "send", Path: file.Name(), Err: errors.New("it was cut off while it was sent")}
			}
			return err
		})
	} else {
		err = to.client.SendData(ctx, parcel, in, -1)
	}
	if err != nil {
		return err
	}
	if f.wait {
		return a.await(ctx, f, sent{parcel, false, 1})
	}
	_, err = fmt.Fprintln(a.out, parcel.ID)
	return err
}

// regular is in if it is a file that can be read again, from where on, and how much.
func regular(in io.Reader) (file *os.File, from, size int64) {
	file, ok := in.(*os.File)
	if !ok {
		return nil, 0, 0
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, 0
	}
	if from, err = file.Seek(0, io.SeekCurrent); err != nil {
		return nil, 0, 0
	}
	return file, from, max(info.Size()-from, 0)
}

// file is what was sent in the form of a .pkt file.
func file(sent api.Parcel, node, group string) packet.File {
	p := packet.Packet{
		ID: sent.ID, Ship: packet.Ship{Root: sent.ID, Node: node}, State: sent.State, Data: string(sent.Data),
	}
	if sent.Stop != "" || sent.Goal != "" || sent.Track {
		p.Wish = &packet.Wish{Stop: sent.Stop, Goal: sent.Goal, Track: sent.Track}
	}
	return packet.File{Packet: p, Group: group}
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

// once gives one packet with all that r holds.
func once(parcel api.Parcel, r io.Reader) func() (api.Parcel, error) {
	given := false
	return func() (api.Parcel, error) {
		if given {
			return parcel, io.EOF
		}
		given = true
		data, err := io.ReadAll(r)
		parcel.Data = data
		return parcel, err
	}
}

// eachLine gives a packet for each line of r, without its end. Their ids are made of
// the parcel's and the lines' numbers, so that whoever sends the same lines with the
// same id again sends none twice.
func eachLine(parcel api.Parcel, r io.Reader) func() (api.Parcel, error) {
	lines, id := inject.NewLines(r, 0), parcel.ID
	number := uint64(0)
	return func() (api.Parcel, error) {
		data, err := lines.Next()
		parcel.ID, parcel.Data = id.Output(number), data
		number++
		return parcel, err
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
