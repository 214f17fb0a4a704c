package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
	"github.com/recap/pumpkin/seed"
)

// A child is a long-lived process that runs the seed, in whatever way it is
// spoken to: how it starts, what it prints, how it ends.
type child struct {
	*program
	process *supervise.Process
	work    string   // its folder
	lock    *os.File // of that
	log     *log
	idle    bool // it has no packets
	// cut says why the process gets less data than it was promised.
	cut atomic.Pointer[error]
}

func (r *program) start() (*child, error) {
	folder, err := newFolder()
	if err != nil {
		return nil, fmt.Errorf("a folder for the worker: %w", err)
	}
	c := &child{program: r, work: folder.Name(), lock: folder}
	if c.process, err = supervise.Start(r.spec); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	if c.log, err = newLog(c.process.Log, r.env.Print); err != nil {
		return nil, errors.Join(err, c.process.Close(0, shortGrace), c.remove())
	}
	return c, nil
}

// interrupt makes a read from the process return when ctx ends.
func (c *child) interrupt(ctx context.Context) (stop func() bool) {
	c.process.From.SetReadDeadline(time.Time{})
	return context.AfterFunc(ctx, func() { c.process.From.SetReadDeadline(past()) })
}

// limit makes a read from the process return at the end of the seed's time-out.
// Its error is ctx's, whose interrupt it may just have overwritten.
func (c *child) limit(ctx context.Context, since time.Time) error {
	c.process.From.SetReadDeadline(since.Add(c.m.Timeout))
	return ctx.Err()
}

// past is a deadline that makes what waits return at once.
func past() time.Time { return time.Unix(1, 0) }

// broken is the error of a process that cannot go on: ctx's, or a fault that
// says that it hung, how it ended, or what it did against the rules.
func (c *child) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &runner.Fault{Reason: "timed out after " + c.m.Timeout.String(), Output: c.stack(), Hung: true}
	}
	reason, how := err.Error(), wire.How{}
	var violation wire.Violation
	switch {
	case errors.As(err, &violation):
		reason = "broke the worker protocol: " + reason
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EPIPE):
		if reason, how = c.process.Ended(2 * time.Second); reason == "exit status 0" {
			reason = "ended before its work was done"
		}
		if cut := c.cut.Load(); cut != nil {
			reason = "read large data: " + (*cut).Error()
		}
	}
	return c.fault(reason, how)
}

// fault ends the process, and is that with what it printed last.
func (c *child) fault(reason string, how wire.How) error {
	c.process.Close(0, shortGrace)
	c.log.wait()
	return faultOf(reason, c.log.tail(), how)
}

// faultOf is the failure of a run.
func faultOf(reason, output string, how wire.How) *runner.Fault {
	after := time.Duration(min(max(how.After, 0), maxAfter.Seconds()) * float64(time.Second))
	return &runner.Fault{Reason: reason, Output: runner.Tail(output), Cut: how.Cut, Final: how.Final, Later: how.Later, After: after}
}

// maxAfter is the longest pause that a seed may ask for.
const maxAfter = 30 * 24 * time.Hour

// stack asks a process that hangs where it is, if it tells, and ends it.
func (c *child) stack() string {
	if c.process.AskStack() {
		c.log.settle(stackTime)
	}
	c.process.Close(0, c.grace())
	c.log.wait()
	return runner.Tail(c.log.tail())
}

// grace is how long a run that is asked to end may take for that.
func (r *program) grace() time.Duration { return cmp.Or(r.m.Grace, seed.DefaultGrace) }

// gone tells whether the process ended while it had nothing to do.
func (c *child) gone() bool { return c.idle && c.process.HasEnded() }

// Close ends the process. One that runs is asked to end; a run on a packet, which is cut off
// because nobody waits any longer, has little time for that.
func (c *child) Close() error {
	patience, grace := time.Duration(0), c.grace()
	switch {
	case c.idle:
		patience = endTime
	case !c.m.Contract.Injector():
		grace = min(grace, shortGrace)
	}
	err := c.process.Close(patience, grace)
	c.log.wait()
	return errors.Join(err, c.remove())
}

// remove removes the folder.
func (c *child) remove() error {
	err := os.RemoveAll(c.work)
	c.lock.Close() // only opened; an error means that it was closed before
	return err
}
