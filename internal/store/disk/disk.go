// Package disk is the one place that decides what an error of the disk means
// for a node: who writes waits until the write succeeds, and nothing that was
// written is taken for safe because a later attempt succeeded.
//
// The storage engine writes through [Disk.FS], large data through [Disk.Try]
// and [Disk.Writer]. On an error of the disk (bytes, inodes or quota used up,
// read-only, input or output failed) they try again until it works, and
// [Disk.Err] says why they wait. Until [Disk.Opened] only what is used up makes
// them wait: a folder that cannot be written when the node starts is an error.
//
// A sync that failed is not tried again by itself: the system has dropped what
// it could not write, and the next sync would succeed without it. What was
// written since the last sync is written again first. Where that is more than
// is held in memory, tables of the engine fail, which makes them anew; any
// other file is held back until [Disk.Close].
//
// # Closing
//
// Close ends all waits of large data with the error. The engine does not get
// it: it would end the process, by Logger.Fatalf, by a panic, or by unlocking
// what is not locked, or try again without end. Its goroutine stands still for
// good instead, perhaps with locks of the engine, and [Disk.Stuck] says so. From
// then on the engine must not be called any more, not even to be closed; it is
// left as a kill would leave it, with its file descriptors and its lock of the
// folder until the process ends. What was committed as durable is on the disk,
// as after a kill. So a store calls the engine from goroutines that it need not
// wait for, calls Close here first when it closes, and waits for the engine only
// until that has closed or is stuck.
package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config says which disk it is.
type Config struct {
	// Dir is the folder that errors name.
	Dir string
	// Retry is how long a writer waits before it tries again, unless another
	// one succeeds before; 0 means 250ms.
	Retry time.Duration
	// Log gets a line when writers begin to wait, and one when none does any
	// more. nil is no log.
	Log *slog.Logger
}

// A Disk is what writers of one folder have in common. It is safe for concurrent
// use.
type Disk struct {
	cfg Config

	mu      sync.Mutex
	opened  bool
	waiting int           // writers
	why     *Error        // what the last of them got; nil when none waits
	changed chan struct{} // closed and made anew when it may be worth to try again
	closed  chan struct{} // closed by Close
	ended   bool
	stuck   chan struct{} // closed when the engine stands still
	last    *Error        // why it does
	fence   atomic.Pointer[Error]
}

// New makes a Disk.
func New(cfg Config) *Disk {
	if cfg.Retry == 0 {
		cfg.Retry = 250 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Disk{cfg: cfg, changed: make(chan struct{}), closed: make(chan struct{}), stuck: make(chan struct{})}
}

// Opened says that the store is open: from now on writers wait on any error of
// the disk.
func (d *Disk) Opened() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened = true
}

// Err is an [*Error] while a writer waits for the disk, or the engine is stuck,
// and nil else.
func (d *Disk) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.last != nil:
		return d.last
	case d.why != nil:
		return d.why
	}
	return nil // not a nil *Error
}

// Stuck is closed when the engine would have had to wait after Close.
func (d *Disk) Stuck() <-chan struct{} { return d.stuck }

// Fence has nothing written any more, nor removed: the folder is another's now, for the
// reason why. Whoever would write waits for Close.
func (d *Disk) Fence(why error) {
	d.fence.Store(&Error{Problem: Taken, Dir: d.cfg.Dir, Err: why})
}

// fenced waits for Close if there is a fence, and then is why.
func (d *Disk) fenced() error {
	why := d.fence.Load()
	if why == nil {
		return nil
	}
	d.begin()
	defer d.end()
	if _, err := d.note(why); err == nil {
		<-d.closed
	}
	return why
}

// engine is what the engine gets of an error: none of the disk after Close.
func (d *Disk) engine(err error) error {
	var why *Error
	if err == nil || !errors.As(err, &why) || !d.stick(why) {
		return err
	}
	select {}
}

// stick notes that the engine is stuck, if the Disk is closed.
func (d *Disk) stick(why *Error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended && d.last == nil {
		d.last = why
		close(d.stuck)
	}
	return d.ended
}

// Close has waiting writers, and whoever would have to wait later, fail. It may
// be called more than once.
func (d *Disk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.ended = true
		close(d.closed)
	}
}

// Try does op until it has another error than one of the disk, or none. It
// gives up when ctx ends or the Disk is closed; the error then is ctx's, if it
// has one, and the [*Error] of the disk.
func (d *Disk) Try(ctx context.Context, op func() error) error {
	return d.try(ctx, ofDisk, op)
}

// try is Try for the errors that of says.
func (d *Disk) try(ctx context.Context, of func(error) bool, op func() error) error {
	if err := d.fenced(); err != nil {
		return err
	}
	err := op()
	if err == nil || !of(err) {
		return err
	}
	return d.wait(ctx, of, err, op)
}

// wait does op again until it succeeds; err is what it said before.
func (d *Disk) wait(ctx context.Context, of func(error) bool, err error, op func() error) error {
	d.begin()
	defer d.end()
	for {
		why := d.Explain(err)
		if err := d.pause(ctx, why); err != nil {
			return err
		}
		if err = op(); err == nil || !of(err) {
			return err
		}
	}
}

func (d *Disk) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting++
}

// end counts a writer that waited. Others may succeed now as well.
func (d *Disk) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting--; d.waiting == 0 && d.why != nil {
		d.why = nil
		if !d.ended {
			d.cfg.Log.Info("writes to the disk go on", "folder", d.cfg.Dir)
		}
	}
	d.wake()
}

// wake has all who wait try again. The caller holds the lock.
func (d *Disk) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// freed says that something was removed from the disk.
func (d *Disk) freed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting > 0 {
		d.wake()
	}
}

// pause waits until it is time to try again, or gives up. The caller has begun.
func (d *Disk) pause(ctx context.Context, why *Error) error {
	changed, err := d.note(why)
	if err != nil {
		return err
	}
	timer := time.NewTimer(d.cfg.Retry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-d.closed:
		return why
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ctx.Err(), why)
	}
	return nil
}

// note makes why the state, or is why if nobody may wait for that.
func (d *Disk) note(why *Error) (changed <-chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended || !d.opened && !why.Problem.full() {
		return nil, why
	}
	if d.why == nil {
		d.cfg.Log.Warn("writes wait for the disk", "error", why)
	}
	d.why = why
	return d.changed, nil
}

// hold waits until the Disk is closed: what was written may be lost, and only
// to open the store again tells.
func (d *Disk) hold(err error) error {
	d.begin()
	defer d.end()
	why := d.Explain(err)
	why.Lost = true
	if _, err := d.note(why); err != nil {
		return err
	}
	<-d.closed
	return why
}

// Explain says what an error means. What it does not know is a failing disk.
func (d *Disk) Explain(err error) *Error { return explain(d.cfg.Dir, err) }
