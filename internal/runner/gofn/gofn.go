// Package gofn runs seeds that are Go functions of the program itself.
//
// Such a seed shares the node's process: what it prints goes straight to the
// terminal, a panic is caught and is the packet's failure, and nothing can end
// a function that hangs. One with a time-out is left behind when it exceeds
// it: its goroutine lives until the function returns, and what it still emits
// is refused.
package gofn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Emit gives one output and returns when the network had room for it; what an
// injector gives is then as safe as the node's durability says. The state is
// NAME, Type:NAME, or "" for the contract's only output. The attributes change
// and extend those that the output inherits; of several the later prevail. Its
// error ends the run: return it.
type Emit func(state packet.State, data string, attributes ...packet.Attributes) error

// output is what a call of an [Emit] means.
func output(state packet.State, data string, attributes []packet.Attributes) packet.Output {
	out := packet.Output{State: state, Data: data}
	if len(attributes) > 0 { // seldom
		out.Attributes = merge(attributes)
	}
	return out
}

// merge is kept out of line so that output is not.
//
//go:noinline
func merge(attributes []packet.Attributes) packet.Attributes {
	all := attributes[0]
	for _, a := range attributes[1:] {
		all = all.With(a)
	}
	return all
}

// rootsKey is where an injector's context keeps what gives its outputs.
type rootsKey struct{}

// roots gives several outputs of an injector, and returns when all are safe.
type roots func(state packet.State, data []string) error

// EmitAll gives an output for each data, and returns when all of them are as safe
// as the node's durability says: they share the synchronisations of the disk that
// one [Emit] after the other would wait for. It is for injectors; ctx is that of
// the run, or made from it. Where Emit may be called by several goroutines at a
// time, EmitAll may as well. When it fails, some of the outputs may have been given.
func EmitAll(ctx context.Context, state packet.State, data ...string) error {
	give, ok := ctx.Value(rootsKey{}).(roots)
	if !ok {
		return errors.New("EmitAll is for injectors, with the context that they are called with")
	}
	return give(state, data)
}

// all gives several outputs of run i, and waits for them once.
func all(out runner.Sink, i int, state packet.State, data []string) error {
	for _, d := range data {
		if err := out.Emit(i, packet.Output{State: state, Data: d}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Func is a seed's function. An injector's packet has neither state nor data.
// It is called by several goroutines at a time, as many as the seed has
// workers. emit is for the calling goroutine only, but an injector without a
// time-out may call it from several at a time: their packets reach the disk
// together.
type Func func(ctx context.Context, in packet.Packet, emit Emit) error

// Kind is that of functions, which of a seed finds; nil is none.
func Kind(of func(m seed.Manifest) Func) runner.Kind {
	return runner.Kind{
		Traits: func(m seed.Manifest) runner.Traits {
			return runner.Traits{InProcess: true, Inline: m.Timeout == 0}
		},
		Open: func(m seed.Manifest, _ runner.Env) (runner.Runner, error) {
			fn := of(m)
			if fn == nil {
				return nil, fmt.Errorf("the program has no function of the name %s", m.Name)
			}
			return Open(m, fn), nil
		},
	}
}

// Open makes the runner of fn.
func Open(m seed.Manifest, fn Func) runner.Runner {
	return &goRunner{fn: fn, timeout: m.Timeout, injector: m.Contract.Injector()}
}

type goRunner struct {
	fn       Func
	timeout  time.Duration
	injector bool
}

func (r *goRunner) Open(context.Context) (runner.Worker, error) {
	w := &worker{fn: r.fn, timeout: r.timeout, injector: r.injector}
	w.emit = w.emitCurrent
	if r.injector {
		w.emit = w.emitRoot
	}
	return w, nil
}

type worker struct {
	fn       Func
	timeout  time.Duration
	injector bool
	emit     Emit // emitCurrent, bound once

	out    runner.Sink // of the batch that runs
	claims runner.Claims
	i      int // the packet that runs
}

func (w *worker) emitCurrent(state packet.State, data string, attributes ...packet.Attributes) error {
	return w.out.Emit(w.i, output(state, data, attributes))
}

// emitRoot gives an injector's output and returns when it is safe.
func (w *worker) emitRoot(state packet.State, data string, attributes ...packet.Attributes) error {
	if err := w.out.Emit(w.i, output(state, data, attributes)); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *worker) Run(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	if w.timeout > 0 {
		return w.runTimed(ctx, batch, out)
	}
	w.out = out
	if w.injector {
		ctx = context.WithValue(ctx, rootsKey{}, roots(func(state packet.State, data []string) error { return all(out, w.i, state, data) }))
	}
	if len(batch) == 1 {
		w.i = 0
		out.Done(0, call(ctx, w.fn, &batch[0], w.emit))
		return nil
	}
	w.claims.Start(len(batch), out.Back)
	defer w.claims.End()
	for i, ok := w.claims.Next(); ok; i, ok = w.claims.Next() {
		w.i = i
		out.Done(i, call(ctx, w.fn, &batch[i], w.emit))
	}
	return nil
}

func (w *worker) Close() error { return nil }

// call runs fn and makes a panic its error.
func call(ctx context.Context, fn Func, in *packet.Packet, emit Emit) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &runner.Fault{Reason: fmt.Sprintf("panic: %v", r), Output: runner.Tail(string(debug.Stack()))}
		}
	}()
	return fn(ctx, *in, emit)
}

// runTimed runs each packet in a goroutine that it can leave behind.
func (w *worker) runTimed(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	w.claims.Start(len(batch), out.Back)
	defer w.claims.End()
	for i, ok := w.claims.Next(); ok; i, ok = w.claims.Next() {
		if err := w.runOne(ctx, batch[i], i, out); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) runOne(ctx context.Context, in packet.Packet, i int, out runner.Sink) error {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	gate := &gate{out: out, i: i, flush: in.State == ""}
	if w.injector {
		run = context.WithValue(run, rootsKey{}, roots(gate.emitAll))
	}
	begun := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- call(run, w.fn, &in, gate.emit) }()
	timer := time.NewTimer(w.timeout)
	defer timer.Stop()
	for {
		select {
		case err := <-ended:
			out.Done(i, err)
			return nil
		case <-ctx.Done():
			cancel()
			gate.shut()
			return ctx.Err()
		case <-timer.C:
			// Waiting for room does not count.
			if left := w.timeout - time.Since(begun) + gate.waited(); left > 0 {
				timer.Reset(left)
				continue
			}
			cancel()
			gate.shut()
			return &runner.Fault{Reason: "timed out after " + w.timeout.String(), Hung: true}
		}
	}
}

// A gate lets a run's outputs through until it is shut.
type gate struct {
	out   runner.Sink
	i     int
	flush bool // an injector's outputs are to be safe when emit returns

	mu     sync.Mutex
	closed bool
	wait   time.Duration // spent in Emit
}

var errLeft = errors.New("the run was abandoned")

func (g *gate) emit(state packet.State, data string, attributes ...packet.Attributes) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errLeft
	}
	begun := time.Now()
	defer func() { g.wait += time.Since(begun) }()
	err := g.out.Emit(g.i, output(state, data, attributes))
	if err == nil && g.flush {
		err = g.out.Flush()
	}
	return err
}

// emitAll is emit for several outputs of an injector.
func (g *gate) emitAll(state packet.State, data []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errLeft
	}
	begun := time.Now()
	defer func() { g.wait += time.Since(begun) }()
	return all(g.out, g.i, state, data)
}

// waited is how long the run's outputs had to wait for room. It waits for an
// output that waits itself, so that a run is never given up meanwhile.
func (g *gate) waited() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wait
}

// shut waits for an output on its way through, so that the sink is not called
// afterwards.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}
