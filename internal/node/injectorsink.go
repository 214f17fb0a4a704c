package node

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// errNoWorker is a run that did not begin, since no worker could be started.
var errNoWorker = errors.New("no worker could be started")

// injectOnce makes a run of an injector and returns its failure.
func (r *run) injectOnce(ctx context.Context, start packet.Packet) error {
	if !r.slot.await(ctx) {
		return ctx.Err()
	}
	defer r.slot.release()
	if err := r.open(ctx); err != nil {
		if ctx.Err() == nil && r.noWorker(r.host, err, nil) {
			return errNoWorker
		}
		return err
	}
	verdict := &injectorSink{run: r, in: r.Intake()}
	r.caller, r.borrowed = caller{now: r.clock.now()}, false
	r.rested = r.now - r.slot.idleSince
	r.ctx, r.packets, r.from = ctx, []packet.Packet{start}, []*unit{nil}
	if r.host.Pours {
		var end func()
		r.ctx, end = r.whileItEnds(ctx, &r.host.manifest)
		defer end()
	}
	r.done, r.emitting, r.index, r.kept = 0, 0, 0, keeping{}
	r.slot.in[0].Add(1)
	defer func() {
		verdict.Flush() // its error was told, or the run failed before
		r.drop(verdict.held)
	}()
	err := r.slot.worker.Run(ctx, r.packets, verdict)
	r.slot.idleSince = r.clock.now()
	if r.unused(err) {
		r.close()
		return errNoWorker
	}
	if err != nil {
		r.close()
		return err
	}
	if verdict.err != nil {
		return verdict.err
	}
	return verdict.Flush()
}

// lastLines is how long what an injector in lines mode has printed is taken after it has ended or
// was killed.
const lastLines = time.Second

// whileItEnds is a context that outlasts ctx by the time that the injector has to end, unless the
// node ends: a program that knows nothing of packets has told its source that it has what it
// printed.
func (l *lifetime) whileItEnds(ctx context.Context, m *seed.Manifest) (within context.Context, end func()) {
	within, cancel := context.WithCancel(l.running)
	stop := context.AfterFunc(ctx, func() {
		pause.For(within, cmp.Or(m.Grace, seed.DefaultGrace)+lastLines)
		cancel()
	})
	return within, func() {
		stop()
		cancel()
	}
}

// An injectorSink takes what an injector gives: every output is a root. It is
// safe for concurrent use, so that an injector may wait for many packets at a
// time to be stored.
type injectorSink struct {
	*run
	in   *Intake
	mu   sync.Mutex
	err  error        // the verdict, for the injector's loop
	held []packet.Sum // large data of this run
}

func (v *injectorSink) Done(_ int, err error) { v.err = err }

// Emit takes an output; its blob, if it has one, is held until the run has
// ended.
func (v *injectorSink) Emit(i int, out packet.Output) error {
	if out.Blob != nil {
		v.mu.Lock()
		v.held = append(v.held, out.Blob.Sum)
		v.mu.Unlock()
	}
	r := v.run
	r.watch.wake()
	if err := r.host.awaitResume(r.ctx); err != nil {
		return err
	}
	var root item
	// Where packets are stored, the lock is held for making the packet alone:
	// thousands may emit at a time, and would queue for it.
	v.mu.Lock()
	port, err := v.root(&root, i, &out)
	if err == nil && !r.stored() {
		err = r.routeHere(&root, port.to)
	}
	v.mu.Unlock()
	if err != nil || !r.stored() {
		return err
	}
	return v.in.put(r.ctx, &root, port.to, nil)
}

// root makes the run's next output. The caller holds v.mu.
func (v *injectorSink) root(root *item, i int, out *packet.Output) (*port, error) {
	r := v.run
	port, err := r.output(root, i, out)
	if err != nil {
		return nil, err
	}
	root.Ship = packet.Ship{Root: root.ID, Node: r.cfg.Name}
	if now := r.clock.now(); now-r.now >= hopGrain {
		r.now = now
	}
	root.Trail = r.trail(&r.packets[i])
	r.traceRoot(&root.Packet, r.host.name)
	r.bear(&root.Packet, r.host.name)
	return port, nil
}

// Flush returns when everything that was emitted before is stored.
func (v *injectorSink) Flush() error {
	if !v.stored() {
		return nil
	}
	return v.in.Flush(context.Background()) // the end of the node lands every commit
}
