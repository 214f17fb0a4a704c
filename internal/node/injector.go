package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// startInjector runs h's injector from now on. The caller holds n.change.
func (n *Node) startInjector(h *host) {
	if !n.begun || !h.manifest.Contract.Injector() || h.stop != nil {
		return
	}
	if h.manifest.Once && n.onced[h.manifest.Name] {
		n.log.Info(fmt.Sprintf("injector %s says pmk-once and has ended: it does not run again", h.name))
		h.starts.become(InjectorEnded, time.Time{})
		return
	}
	ctx, stop := context.WithCancel(n.injecting)
	h.stop = stop
	n.goroutines.Go(func() {
		defer close(h.ended)
		defer stop()
		if h.manifest.Once && n.endedBefore(ctx, h) {
			h.starts.become(InjectorEnded, time.Time{})
			return
		}
		h.inject(ctx)
	})
}

// inject runs the injector once, or as often as its pmk-every says, until ctx
// ends.
func (h *host) inject(ctx context.Context) {
	for due := time.Now(); ; {
		ended := h.injectDue(ctx, due)
		if ctx.Err() != nil {
			return
		}
		if h.manifest.Once && ended {
			h.node.rememberEnd(ctx, h)
		}
		if h.manifest.Every == 0 {
			return
		}
		// Runs are due at even distances; one that took longer than that is
		// followed at once by the next, and none is made up for.
		due = due.Add(h.manifest.Every)
		if late := time.Since(due); late > 0 {
			due = due.Add(late)
			continue
		}
		h.starts.become(InjectorWaiting, due)
		if !pause.For(ctx, time.Until(due)) {
			return
		}
	}
}

// injection is the id of the run that is due then, after so many others have
// failed. An injector that runs once has one run, however often it is cut short:
// what it gave before has the same ids when it gives it again; so has one that is
// due at a time. For any other each start is a run of its own: most follow a
// source that goes on meanwhile, and what comes of that now is not what came first.
func (h *host) injection(due time.Time, failed int) packet.ID {
	run := h.node.cfg.Run
	switch m := &h.manifest; {
	case m.Once:
		run = "once"
	case m.Every > 0:
		run = "due " + due.UTC().Format(time.RFC3339Nano)
	case failed > 0:
		run = fmt.Sprintf("%s after %d", run, failed)
	}
	return packet.HashID("injector", h.name, h.version(), run)
}

// runID is the id of the seed's run on p; an injector's has it already.
func (h *host) runID(p *packet.Packet) packet.ID {
	if len(h.manifest.Contract.In) == 0 {
		return p.ID
	}
	return packet.RunID(h.key, p.Round(), p.ID)
}

// injectDue makes the run that was due then, tries it again for as long as it
// fails, with the pauses of a packet, and tells whether it came to its end.
func (h *host) injectDue(ctx context.Context, due time.Time) (ended bool) {
	tries := 0 // that failed, since one went well for a while
	var first time.Time
	for failed := 0; h.awaitResume(ctx) == nil && h.awaitLoaded(ctx) == nil; failed++ {
		h.starts.begin(time.Now())
		err := h.slots[0].injectOnce(ctx, packet.Packet{ID: h.injection(due, failed), Attempt: int32(min(failed, math.MaxInt32))})
		if errors.Is(err, errNoWorker) { // it is not a run
			h.starts.become(InjectorWaiting, time.Time{})
			failed--
			continue
		}
		if ctx.Err() != nil {
			return err == nil
		}
		row := h.starts.end(time.Now(), err)
		if err == nil {
			h.starts.become(InjectorEnded, time.Time{})
			return true
		}
		h.slots[0].failed.Add(1)
		if tries++; row == 1 {
			tries = 1
		}
		if tries == 1 {
			first = time.Now()
		}
		delay, again := h.nextStart(tries, first, err)
		if !again {
			h.faults.warn(h.node, injectorGaveUp, fmt.Sprintf("injector %s gave up after %s, as it or its pmk-retries says", h.name, english.Plural(tries, "attempt", "")), err, time.Time{})
			h.starts.become(InjectorGaveUp, time.Time{})
			return false
		}
		h.faults.warn(h.node, injectorFailed, fmt.Sprintf("injector %s failed, attempt %d, and is started again in %v", h.name, tries, delay.Round(10*time.Millisecond)), err, time.Now().Add(delay))
		h.starts.become(InjectorFailed, time.Now().Add(delay))
		if !pause.For(ctx, delay) {
			return false
		}
	}
	return false
}

// nextStart tells whether an injector is started again after so many failures in a row, the first of
// which was then, and after which pause.
func (h *host) nextStart(failures int, first time.Time, err error) (pause time.Duration, again bool) {
	m := h.manifest
	if m.Retries == seed.Unlimited && m.RetryFor == 0 {
		m.Retries = math.MaxInt
	}
	run := packet.Packet{Attempt: int32(min(failures-1, math.MaxInt32)), Extra: &packet.Extra{Failing: first.Unix()}}
	return nextTry(&m, &run, err, h.node.pauseAfter, time.Now())
}

// injectOnce makes a run in the slot and returns its failure.
func (s *slot) injectOnce(ctx context.Context, run packet.Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return nil
	}
	if err := s.open(ctx); err != nil {
		if ctx.Err() == nil && s.node.unload(s.host, err, nil) {
			return errNoWorker
		}
		return err
	}
	verdict := &injectorSink{slot: s, in: s.node.Intake()}
	s.now, s.depth, s.timing, s.away, s.borrowed = s.node.clock.now(), 0, false, 0, false
	s.rested = s.now - s.idleSince
	s.ctx, s.batch, s.from = ctx, []packet.Packet{run}, []*unit{nil}
	if s.host.manifest.Mode == seed.Lines {
		var end func()
		s.ctx, end = s.node.whileItEnds(ctx, &s.host.manifest)
		defer end()
	}
	s.done, s.emitting, s.index, s.kept = 0, 0, 0, keeping{}
	s.in[0].Add(1)
	defer func() {
		verdict.Flush() // its error was told, or the run failed before
		s.node.drop(verdict.held)
	}()
	err := s.worker.Run(ctx, s.batch, verdict)
	s.idleSince = s.node.clock.now()
	if s.unused(err) {
		s.close()
		return errNoWorker
	}
	if err != nil {
		s.close()
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

// whileItEnds is a context that outlasts ctx by the time that the injector has to end, unless the node
// ends: a program that knows nothing of packets has told its source that it has what it printed.
func (n *Node) whileItEnds(ctx context.Context, m *seed.Manifest) (within context.Context, end func()) {
	within, cancel := context.WithCancel(n.running)
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
	*slot
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
	s := v.slot
	s.node.watch.wake()
	if err := s.host.awaitResume(s.ctx); err != nil {
		return err
	}
	var root item
	// Where packets are stored, the lock is held for making the packet alone:
	// thousands may emit at a time, and would queue for it.
	v.mu.Lock()
	port, err := v.root(&root, i, &out)
	if err == nil && !s.node.stored() {
		err = s.node.route(s.ctx, s, &root, port.to)
	}
	v.mu.Unlock()
	if err != nil || !s.node.stored() {
		return err
	}
	return v.in.put(s.ctx, &root, port.to, nil)
}

// root makes the run's next output. The caller holds v.mu.
func (v *injectorSink) root(root *item, i int, out *packet.Output) (*port, error) {
	s := v.slot
	port, err := s.output(root, i, out)
	if err != nil {
		return nil, err
	}
	root.Ship = packet.Ship{Root: root.ID, Node: s.node.cfg.Name}
	if now := s.node.clock.now(); now-s.now >= hopGrain {
		s.now = now
	}
	root.Trail = s.trail(&s.batch[i])
	s.node.traceRoot(&root.Packet, s.host.name)
	s.node.bear(&root.Packet, s.host.name)
	return port, nil
}

// Flush returns when everything that was emitted before is stored.
func (v *injectorSink) Flush() error {
	if !v.node.stored() {
		return nil
	}
	return v.in.Flush(context.Background()) // the end of the node lands every commit
}
