package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

const (
	// loadTime is how long a worker may take until its seed is loaded.
	loadTime = 30 * time.Second
	// stackTime is how long a worker that hangs is given to show its stack.
	stackTime = 300 * time.Millisecond
	// endTime is how long a worker that has nothing to do may take to end.
	endTime = time.Second
	// refusalTime is how long a run may go on after an output was refused.
	refusalTime = time.Second
	// smallFrame is what a pipe takes though nobody reads.
	smallFrame = 60 << 10
)

// Open makes the runner of m, whose program spec says how to start.
func Open(m seed.Manifest, env runner.Env, spec supervise.Spec) runner.Runner {
	if env.MaxData == 0 {
		env.MaxData = runner.DefaultMaxData
	}
	if env.Print == nil {
		env.Print = func(string) {}
	}
	return &workers{m: m, env: env, spec: spec}
}

type workers struct {
	m    seed.Manifest
	env  runner.Env
	spec supervise.Spec
}

func (r *workers) Open(ctx context.Context) (runner.Worker, error) {
	work, err := os.MkdirTemp("", "pmk-work-")
	if err != nil {
		return nil, err
	}
	p, err := supervise.Start(r.spec)
	if err != nil {
		os.RemoveAll(work)
		return nil, err
	}
	w := &worker{workers: r, process: p, work: work, from: bufio.NewReaderSize(p.From, 64<<10), log: newLog(p.Log, r.env.Print)}
	if err := w.greet(ctx); err != nil {
		w.idle = false
		w.Close()
		return nil, err
	}
	w.idle = true
	return w, nil
}

// A worker is one process that runs the seed.
type worker struct {
	*workers
	process *supervise.Process
	work    string // its folder
	from    *bufio.Reader
	log     *log
	meta    bool
	idle    bool // it has no packets

	given int64 // packets so far
	frame []byte
	small []byte // for reading small outputs
	reply wire.Reply
}

// greet exchanges the hellos.
func (w *worker) greet(ctx context.Context) error {
	hello := wire.Hello{
		Pumpkin: wire.Version, Seed: string(w.m.Name), Node: w.env.Node, Group: w.m.Group, File: w.m.File,
		In: texts(w.m.Contract.In), Out: texts(w.m.Contract.Out), Work: w.work, Max: w.env.MaxData,
	}
	frame, err := wire.AppendFrame(nil, hello)
	if err != nil {
		return err
	}
	defer w.interrupt(ctx)()
	w.process.From.SetReadDeadline(time.Now().Add(loadTime))
	if _, err := w.process.To.Write(frame); err != nil {
		return w.crashed(ctx, err)
	}
	header, blob, err := wire.ReadHeader(w.from)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return &runner.Fault{Reason: fmt.Sprintf("was not loaded within %v", loadTime), Output: w.stack(), Hung: true}
	}
	if err != nil {
		return w.crashed(ctx, err)
	}
	answer, err := wire.ParseAnswer(header)
	if err == nil && blob != 0 {
		err = wire.Violation("a hello with a blob")
	}
	if err != nil {
		return w.crashed(ctx, err)
	}
	if answer.Error != "" {
		return &runner.Fault{Reason: answer.Error, Output: runner.Tail(answer.Output)}
	}
	w.meta = answer.Meta
	return nil
}

// interrupt makes a read from the worker return when ctx ends.
func (w *worker) interrupt(ctx context.Context) (stop func() bool) {
	w.process.From.SetReadDeadline(time.Time{})
	return context.AfterFunc(ctx, func() { w.process.From.SetReadDeadline(time.Unix(1, 0)) })
}

func (w *worker) Run(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	w.idle = false
	w.log.begin()
	defer w.interrupt(ctx)()
	if err := w.give(batch); err != nil {
		return w.crashed(ctx, err)
	}
	r := &run{worker: w, batch: batch, out: out, base: w.given, clock: time.Now()}
	w.given += int64(len(batch))
	for r.done < len(batch) {
		if err := r.step(ctx); err != nil {
			return err
		}
	}
	w.idle = true
	return w.removePaths()
}

// give sends the run frame.
func (w *worker) give(batch []packet.Packet) error {
	batch, err := w.asPaths(batch)
	if err != nil {
		return err
	}
	frame := append(wire.Begin(w.frame), `{"run":[`...)
	size := int64(0)
	for i := range batch {
		if i > 0 {
			frame = append(frame, ',')
		}
		frame = wire.AppendEntry(frame, w.given+int64(i), &batch[i], w.meta)
		size += int64(len(batch[i].Data))
	}
	frame, err = wire.End(append(frame, "]}"...), size)
	if err != nil {
		return err
	}
	if int64(len(frame))+size <= smallFrame {
		for i := range batch {
			frame = append(frame, batch[i].Data...)
		}
		w.frame = frame
		_, err := w.process.To.Write(frame)
		return err
	}
	w.frame = nil // the goroutine has it
	data := make([]string, len(batch))
	for i := range batch {
		data[i] = batch[i].Data
	}
	// A worker may answer before it has read all: writing must not keep the
	// answers from being read. The write ends at the latest with the process.
	go func() {
		w.process.To.Write(frame) // an error shows as the worker's end
		for _, d := range data {
			if _, err := io.WriteString(w.process.To, d); err != nil {
				return
			}
		}
	}()
	return nil
}

// A run is one batch in the worker.
type run struct {
	*worker
	batch     []packet.Packet
	out       runner.Sink
	base      int64     // the number of the batch's first packet
	done      int       // packets that had their verdict
	emitted   int       // the packet that emitted last
	refused   []error   // by packet, why the sink refused an output; nil for none
	refusedAt time.Time // when the first was refused
	data      []string  // of the outputs of the frame at hand
	clock     time.Time // since when the packet runs, waits for room taken off
}

// step takes one frame of the worker.
func (r *run) step(ctx context.Context) error {
	if r.m.Timeout > 0 {
		r.process.From.SetReadDeadline(r.clock.Add(r.m.Timeout))
		if err := ctx.Err(); err != nil {
			return err // the deadline of interrupt was just overwritten
		}
	}
	header, blob, err := wire.ReadHeader(r.from)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			return &runner.Fault{Reason: "timed out after " + r.m.Timeout.String(), Output: r.stack(), Hung: true}
		}
		return r.crashed(ctx, err)
	}
	r.reply.Reset()
	if err := r.reply.Parse(header, blob); err != nil {
		return r.crashed(ctx, err)
	}
	if err := r.readOutputs(); err != nil {
		return r.crashed(ctx, err)
	}
	if r.reply.Started >= 0 {
		r.clock = time.Now()
	}
	for _, line := range r.reply.Log {
		r.env.Print(line)
	}
	if err := r.emits(); err != nil {
		return r.crashed(ctx, err)
	}
	if r.stubborn() {
		return &runner.Fault{Reason: r.refusal(r.emitted).Error(), Output: runner.Tail(r.log.tail())}
	}
	return r.dones(ctx)
}

// emits gives the outputs of a frame to the sink.
func (r *run) emits() error {
	if len(r.reply.Emit) == 0 {
		return nil
	}
	began := time.Now()
	for k, e := range r.reply.Emit {
		i := e.N - r.base
		if i < int64(max(r.done, r.emitted)) || i >= int64(len(r.batch)) {
			return wire.Violation(fmt.Sprintf("an output of packet %d, which is not running", e.N))
		}
		r.emitted = int(i)
		if r.refusal(r.emitted) == nil {
			var err error
			if e.Size > r.env.MaxData {
				err = fmt.Errorf("an output of %d bytes; at most %d are allowed", e.Size, r.env.MaxData)
			} else {
				err = r.out.Emit(r.emitted, packet.State(e.State), r.data[k])
			}
			if err != nil {
				r.refuse(r.emitted, err)
			}
		}
	}
	r.clock = r.clock.Add(time.Since(began)) // waiting for room is no part of the run
	return nil
}

func (r *run) refuse(i int, err error) {
	if r.refused == nil {
		r.refused = make([]error, len(r.batch))
		r.refusedAt = time.Now()
	}
	r.refused[i] = err
}

func (r *run) refusal(i int) error {
	if r.refused == nil {
		return nil
	}
	return r.refused[i]
}

// dones gives the verdicts of a frame to the sink.
func (r *run) dones(ctx context.Context) error {
	for _, d := range r.reply.Done {
		if d.N != r.base+int64(r.done) || r.done == len(r.batch) {
			return r.crashed(ctx, wire.Violation(fmt.Sprintf("packet %d is done, but %d is running", d.N, r.base+int64(r.done))))
		}
		var err error
		if d.Failed {
			err = &runner.Fault{Reason: d.Error, Output: runner.Tail(d.Output)}
		}
		if refusal := r.refusal(r.done); refusal != nil {
			err = refusal
		}
		r.out.Done(r.done, err)
		r.done++
		r.clock = time.Now()
	}
	return nil
}

// readOutputs reads the data of a frame's outputs. Each has memory of its own,
// which grows as it comes: what a worker announces costs nothing, and an output
// that is kept keeps no other. One that is too large is read over.
func (r *run) readOutputs() error {
	clear(r.data)
	r.data = r.data[:0]
	for _, e := range r.reply.Emit {
		text := ""
		var err error
		switch {
		case e.Size > r.env.MaxData:
			_, err = io.CopyN(io.Discard, r.from, e.Size)
		case e.Size <= smallFrame:
			if int64(cap(r.small)) < e.Size {
				r.small = make([]byte, smallFrame)
			}
			_, err = io.ReadFull(r.from, r.small[:e.Size])
			text = string(r.small[:e.Size])
		default:
			var buf bytes.Buffer
			_, err = io.CopyN(&buf, r.from, e.Size)
			text = buf.String()
		}
		if err != nil {
			return err
		}
		r.data = append(r.data, text)
	}
	return nil
}

// stubborn tells whether a packet whose output was refused goes on giving more.
func (r *run) stubborn() bool {
	return r.refused != nil && r.emitted >= r.done && r.refusal(r.emitted) != nil && time.Since(r.refusedAt) > refusalTime
}

// crashed is the error of a worker that cannot go on: ctx's, or a fault that
// says how the process ended or what it did against the protocol.
func (w *worker) crashed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	reason := err.Error()
	var violation wire.Violation
	switch {
	case errors.As(err, &violation):
		reason = "broke the worker protocol: " + reason
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrClosed), isBrokenPipe(err):
		if reason = w.process.Ended(2 * time.Second); reason == "exit status 0" {
			reason = "ended before its work was done"
		}
	}
	w.process.Close(0)
	w.log.wait()
	return &runner.Fault{Reason: reason, Output: runner.Tail(w.log.tail())}
}

// stack asks a worker that hangs where it is, and ends it.
func (w *worker) stack() string {
	if w.process.AskStack() == nil {
		w.log.settle(stackTime)
	}
	w.process.Close(0)
	w.log.wait()
	return runner.Tail(w.log.tail())
}

func (w *worker) Close() error {
	grace := endTime
	if !w.idle {
		grace = 0
	}
	err := w.process.Close(grace)
	w.log.wait()
	return errors.Join(err, os.RemoveAll(w.work))
}

func texts(states []packet.State) []string {
	out := []string{}
	for _, s := range states {
		out = append(out, string(s))
	}
	return out
}
