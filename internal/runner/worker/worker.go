package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

const (
	// stackTime is how long a worker that hangs is given to show its stack.
	stackTime = 300 * time.Millisecond
	// endTime is how long a worker that has nothing to do may take to end by
	// itself, before it is asked to.
	endTime = time.Second
	// shortGrace is how long a run may take to end that nobody waits for.
	shortGrace = time.Second
	// refusalTime is how long a run may go on after an output was refused.
	refusalTime = time.Second
	// smallFrame is what a pipe takes though nobody reads.
	smallFrame = 60 << 10
)

// Traits are those of all seeds that run in processes.
func Traits(m seed.Manifest) runner.Traits {
	lines := m.Mode == seed.Lines
	return runner.Traits{Streams: !lines, Pours: lines}
}

// Open makes the runner of m, whose program spec says how to start: it is asked for each worker.
func Open(m seed.Manifest, env runner.Env, spec func(context.Context) (supervise.Spec, error)) runner.Runner {
	if env.MaxData == 0 {
		env.MaxData = runner.DefaultMaxData
	}
	if env.Print == nil {
		env.Print = func(string) error { return nil }
	}
	if env.Warn == nil {
		env.Warn = func(string) {}
	}
	if env.Uses == nil {
		env.Uses = func([]string, string) {}
	}
	return &workers{program: program{m: m, env: env}, spec: spec}
}

// A program is what a worker runs, and what the node gives it.
type program struct {
	m    seed.Manifest
	env  runner.Env
	spec supervise.Spec
	// silent are those of all workers that do not answer.
	silent *silent
}

// open starts a worker and returns once it can run. loaded is what it says of itself, also of one
// that fails.
func (r *program) open(ctx context.Context) (w runner.Worker, loaded wire.Answer, err error) {
	if r.spec.Role == supervise.Lines && r.m.Contract.Injector() {
		return source{r}, loaded, nil
	}
	c, err := r.start()
	if err != nil {
		return nil, loaded, err
	}
	if r.spec.Role == supervise.Lines {
		w, err = newLiner(ctx, c)
	} else {
		w, loaded, err = newWorker(ctx, c)
	}
	if err != nil {
		c.Close()
		return nil, loaded, err
	}
	c.idle = true
	return w, loaded, nil
}

// A worker is one process that runs the seed and speaks the worker protocol.
type worker struct {
	*child
	from *bufio.Reader
	meta bool

	given int64 // packets so far
	frame []byte
	small []byte // for reading small outputs
	reply wire.Reply
}

func newWorker(ctx context.Context, c *child) (*worker, wire.Answer, error) {
	w := &worker{child: c, from: bufio.NewReaderSize(c.process.From, 64<<10)}
	answer, err := w.greet(ctx)
	return w, answer, err
}

// greet exchanges the hellos.
func (w *worker) greet(ctx context.Context) (answer wire.Answer, err error) {
	hello := wire.Hello{
		Pumpkin: wire.Version, Seed: string(w.m.Name), Node: w.env.Node, Group: w.m.Group, File: w.m.File, Source: w.spec.Source,
		In: texts(w.m.Contract.In), Out: texts(w.m.Contract.Out), Work: w.work, Max: w.env.MaxData,
		Stores: w.env.Stores && w.m.Contract.Injector(), Back: runner.GiveBack.Milliseconds(),
	}
	frame, err := wire.AppendFrame(nil, hello)
	if err != nil {
		return answer, err
	}
	defer w.interrupt(ctx)()
	if w.env.LoadTimeout > 0 {
		w.process.From.SetReadDeadline(time.Now().Add(w.env.LoadTimeout))
	}
	if ctx.Err() != nil { // whose end may just have been overwritten
		return answer, ctx.Err()
	}
	if _, err := w.process.To.Write(frame); err != nil {
		return answer, w.broken(ctx, err)
	}
	header, blob, err := wire.ReadHeader(w.from)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return answer, &runner.Fault{Reason: fmt.Sprintf("was not loaded within %v (--load-timeout)", w.env.LoadTimeout), Output: w.stack(), Hung: true}
	}
	if err != nil {
		return answer, w.broken(ctx, err)
	}
	answer, err = wire.ParseAnswer(header)
	if err == nil && blob != 0 {
		err = wire.Violation("a hello with a blob")
	}
	if err != nil {
		return answer, w.broken(ctx, err)
	}
	if answer.Error != "" {
		return answer, &runner.Fault{Reason: answer.Error, Output: runner.Tail(answer.Output)}
	}
	w.meta = answer.Meta
	return answer, nil
}

func (w *worker) Run(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	if w.gone() {
		return runner.ErrUnused
	}
	w.idle = false
	w.log.begin()
	defer w.interrupt(ctx)()
	given, err := w.asPaths(batch)
	if err != nil {
		return w.broken(ctx, err)
	}
	r := &run{worker: w, batch: batch, out: out, base: w.given, end: len(batch), clock: time.Now()}
	for r.done < r.end {
		n, err := w.give(given[r.done:])
		if err != nil {
			return w.broken(ctx, err)
		}
		for r.given = r.done + n; r.done < r.given; {
			if err := r.step(ctx); err != nil {
				return err
			}
		}
	}
	w.idle = true
	return w.removePaths()
}

// give sends a run frame of the packets at the begin of batch that fit into one,
// mostly all, and returns how many those are.
func (w *worker) give(batch []packet.Packet) (int, error) {
	frame, n, size := w.header(batch)
	batch = batch[:n]
	frame, err := wire.End(frame, size)
	if err != nil {
		return 0, err
	}
	w.given += int64(n)
	if int64(len(frame))+size <= smallFrame {
		for i := range batch {
			frame = append(frame, batch[i].Data...)
		}
		w.frame = frame
		_, err := w.process.To.Write(frame)
		return n, err
	}
	w.frame = nil // the goroutine has it
	batch = slices.Clone(batch)
	// A worker may answer before it has read all: writing must not keep the
	// answers from being read. The write ends at the latest with the process.
	go func() {
		w.process.To.Write(frame) // an error shows as the worker's end
		for i := range batch {
			if err := w.writeData(w.process.To, &batch[i]); err != nil {
				w.cut.Store(&err)
				w.process.To.Close() // the worker was promised more: it cannot go on
				return
			}
		}
	}()
	return n, nil
}

// header makes the header of a run frame, and says how many packets it is of and
// how much data they have. Only long attributes make it too long for a batch.
func (w *worker) header(batch []packet.Packet) (frame []byte, n int, size int64) {
	frame = append(wire.Begin(w.frame), `{"run":[`...)
	for i := range batch {
		before := len(frame)
		if i > 0 {
			frame = append(frame, ',')
		}
		frame = wire.AppendEntry(frame, w.given+int64(i), &batch[i], w.meta)
		if i > 0 && len(frame) > wire.MaxHeader {
			frame = frame[:before]
			break
		}
		n, size = i+1, size+batch[i].DataSize()
	}
	return append(frame, "]}"...), n, size
}

// A run is one batch in the worker.
type run struct {
	*worker
	batch     []packet.Packet
	out       runner.Sink
	base      int64     // the number of the batch's first packet
	given     int       // packets that the worker was given
	done      int       // packets that had their verdict
	end       int       // of those that were not given back
	emitted   int       // the packet that emitted last
	refused   []error   // by packet, why the sink refused an output; nil for none
	refusedAt time.Time // when the first was refused
	data      []output  // of the frame at hand
	clock     time.Time // since when the packet runs, waits for room taken off
}

// step takes one frame of the worker.
func (r *run) step(ctx context.Context) error {
	if r.m.Timeout > 0 {
		if err := r.limit(ctx, r.clock); err != nil {
			return err
		}
	}
	header, blob, err := wire.ReadHeader(r.from)
	if err != nil {
		return r.broken(ctx, err)
	}
	r.reply.Reset()
	if err := r.reply.Parse(header, blob); err != nil {
		return r.broken(ctx, err)
	}
	defer r.dropOutputs()
	if err := r.readOutputs(ctx); err != nil {
		return r.broken(ctx, err)
	}
	if r.reply.Started >= 0 {
		r.clock = time.Now()
	}
	for _, line := range r.reply.Log {
		r.log.fail(r.env.Print(line))
	}
	if err := r.emits(); err != nil {
		return r.broken(ctx, err)
	}
	if r.reply.Sync {
		if err := r.sync(); err != nil {
			return r.broken(ctx, err)
		}
	}
	if r.stubborn() {
		return &runner.Fault{Reason: r.refusal(r.emitted).Error(), Output: runner.Tail(r.log.tail())}
	}
	if err := r.dones(ctx); err != nil || r.reply.Back < 0 {
		return err
	}
	return r.back(ctx)
}

// back gives the sink back what the worker does not begin.
func (r *run) back(ctx context.Context) error {
	from := r.reply.Back - r.base
	if from < int64(r.done) || from >= int64(r.given) || r.end < len(r.batch) {
		return r.broken(ctx, wire.Violation(fmt.Sprintf("it gives run %d back, which is not its to give", r.reply.Back)))
	}
	r.given, r.end = int(from), int(from)
	r.out.Back(r.end)
	return nil
}

// emits gives the outputs of a frame to the sink.
func (r *run) emits() error {
	if len(r.reply.Emit) == 0 {
		return nil
	}
	began := time.Now()
	for k, e := range r.reply.Emit {
		i := e.N - r.base
		if i < int64(max(r.done, r.emitted)) || i >= int64(r.given) {
			return wire.Violation(fmt.Sprintf("an output of packet %d, which is not running", e.N))
		}
		r.emitted = int(i)
		if r.refusal(r.emitted) == nil {
			var err error
			switch d := &r.data[k]; {
			case e.Size > r.env.MaxData:
				err = fmt.Errorf("an output of %d bytes; at most %d are allowed (--max-packet)", e.Size, r.env.MaxData)
			case d.failed != nil:
				err = d.failed
			default:
				err = r.out.Emit(r.emitted, packet.Output{State: packet.State(e.State), Data: d.text, Blob: d.blob, Attributes: e.Attributes})
				d.blob = nil // the sink's now
			}
			if err != nil {
				r.refuse(r.emitted, err)
			}
		}
	}
	r.clock = r.clock.Add(time.Since(began)) // waiting for room is no part of the run
	return nil
}

// sync answers once everything emitted so far is stored.
func (r *run) sync() error {
	began := time.Now()
	answer := wire.Stored{Stored: true}
	if err := r.out.Flush(); err != nil {
		answer = wire.Stored{Error: err.Error()}
	}
	r.clock = r.clock.Add(time.Since(began))
	frame, err := wire.AppendFrame(nil, answer)
	if err != nil {
		return err
	}
	_, err = r.process.To.Write(frame)
	return err
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
	unwritten, err := r.unwritten(ctx)
	if err != nil {
		return err
	}
	for _, d := range r.reply.Done {
		if d.N != r.base+int64(r.done) || r.done == r.given {
			return r.broken(ctx, wire.Violation(fmt.Sprintf("packet %d is done, but %d is running", d.N, r.base+int64(r.done))))
		}
		var err error
		if d.Failed {
			err = faultOf(d.Error, d.Output, d.How)
		}
		if err == nil {
			err = unwritten
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

// unwritten is why something that an extractor has printed until now could not be written, which is
// what it was run for; it may be of any packet of a frame. The second error is ctx's.
func (r *run) unwritten(ctx context.Context) (unwritten, err error) {
	if len(r.reply.Done) == 0 || !r.m.Contract.Extractor() {
		return nil, nil
	}
	if err := r.log.catchUp(ctx); err != nil {
		return nil, err
	}
	return r.log.unwritten(), nil
}

// stubborn tells whether a packet whose output was refused goes on giving more.
func (r *run) stubborn() bool {
	return r.refused != nil && r.emitted >= r.done && r.refusal(r.emitted) != nil && time.Since(r.refusedAt) > refusalTime
}

func texts(states []packet.State) []string {
	out := []string{}
	for _, s := range states {
		out = append(out, string(s))
	}
	return out
}
