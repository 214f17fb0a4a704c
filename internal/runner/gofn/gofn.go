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

// Emit gives one output and returns when the network had room for it. The
// state is NAME, Type:NAME, or "" for the contract's only output. Its error
// ends the run: return it.
type Emit func(state packet.State, data string) error

// Func is a seed's function. An injector's packet has neither state nor data.
// It is called by several goroutines at a time, as many as the seed has
// workers; emit is for the calling goroutine only.
type Func func(ctx context.Context, in packet.Packet, emit Emit) error

// Open makes the runner of fn.
func Open(m seed.Manifest, fn Func) runner.Runner {
	return &goRunner{fn: fn, timeout: m.Timeout}
}

type goRunner struct {
	fn      Func
	timeout time.Duration
}

func (r *goRunner) Open(context.Context) (runner.Worker, error) {
	w := &worker{fn: r.fn, timeout: r.timeout}
	w.emit = w.emitCurrent
	return w, nil
}

type worker struct {
	fn      Func
	timeout time.Duration
	emit    Emit // emitCurrent, bound once

	out runner.Sink // of the batch that runs
	i   int         // the packet that runs
}

func (w *worker) emitCurrent(state packet.State, data string) error {
	return w.out.Emit(w.i, state, data)
}

func (w *worker) Run(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	if w.timeout > 0 {
		return w.runTimed(ctx, batch, out)
	}
	w.out = out
	for i := range batch {
		w.i = i
		out.Done(i, call(ctx, w.fn, batch[i], w.emit))
	}
	return nil
}

func (w *worker) Close() error { return nil }

// call runs fn and makes a panic its error.
func call(ctx context.Context, fn Func, in packet.Packet, emit Emit) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &runner.Fault{Reason: fmt.Sprintf("panic: %v", r), Output: runner.Tail(string(debug.Stack()))}
		}
	}()
	return fn(ctx, in, emit)
}

// runTimed runs each packet in a goroutine that it can leave behind.
func (w *worker) runTimed(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	for i := range batch {
		if err := w.runOne(ctx, batch[i], i, out); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) runOne(ctx context.Context, in packet.Packet, i int, out runner.Sink) error {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	gate := &gate{out: out, i: i}
	begun := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- call(run, w.fn, in, gate.emit) }()
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
	out runner.Sink
	i   int

	mu     sync.Mutex
	closed bool
	wait   time.Duration // spent in Emit
}

var errLeft = errors.New("the run was given up")

func (g *gate) emit(state packet.State, data string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errLeft
	}
	begun := time.Now()
	defer func() { g.wait += time.Since(begun) }()
	return g.out.Emit(g.i, state, data)
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
