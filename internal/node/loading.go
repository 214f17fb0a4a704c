package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/seed"
)

const (
	// firstReload is the pause after the first failure to load a seed, which each
	// failure more doubles, up to maxReload.
	firstReload = time.Second
	maxReload   = time.Minute
	// maxRestart is the longest pause for a seed that was loaded before: what keeps its
	// workers from starting is probably over soon, and packets wait.
	maxRestart = 5 * time.Second
	// slowLoad is how long a load may take before that is said.
	slowLoad = time.Second
)

// A loading is the way of a host to its first worker, or, after one could not be
// started, to the next. A host that has one is an acceptor like others, but nothing is
// brought to it: its packets wait in its inbox.
type loading struct {
	turns  *turns
	stop   context.CancelFunc
	turn   chan struct{} // closed when it may begin; guarded by turns
	wanted atomic.Bool   // packets wait for it
	again  bool          // it was loaded before
	tried  chan struct{} // closed after the first attempt
	loaded chan struct{} // closed when the host has a worker
	ended  chan struct{} // closed when nobody tries any more

	mu  sync.Mutex
	err error // of the last attempt; nil before
}

// why is the error of the last attempt; nil while there was none.
func (l *loading) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *loading) fail(err error) {
	l.mu.Lock()
	first := l.err == nil
	l.err = err
	l.mu.Unlock()
	if first {
		close(l.tried)
	}
}

// want has the seed loaded before those that no packets wait for.
func (l *loading) want() {
	if !l.wanted.Load() && !l.wanted.Swap(true) {
		l.turns.hurry()
	}
}

// held tells whether nothing is to be brought to the seed: it is paused or not loaded.
func (h *host) held() bool { return h.paused() || h.unloaded.Load() != nil }

// stuck tells whether the seed's inbox does not shrink, as far as is known: it is
// paused, or could not be loaded.
func (h *host) stuck() bool {
	l := h.unloaded.Load()
	return h.paused() || l != nil && l.why() != nil
}

// startLoading brings h to a worker in the background, and tries again as long as
// that fails. failed is why the worker before could not be started, nil at first. The
// caller holds n.change.
func (n *Node) startLoading(h *host, failed error) {
	ctx, stop := context.WithCancel(n.pulling)
	l := &loading{turns: &n.turns, stop: stop, again: failed != nil, tried: make(chan struct{}), loaded: make(chan struct{}), ended: make(chan struct{})}
	if h.manifest.Contract.Injector() || failed != nil {
		l.want()
	}
	wait := time.Duration(0)
	if failed != nil {
		l.fail(failed)
		wait = firstReload
	}
	h.unloaded.Store(l)
	n.goroutines.Go(func() {
		defer close(l.ended)
		defer stop()
		if pause.For(ctx, wait) {
			n.loadUntil(ctx, h, l)
		}
	})
}

// loadUntil tries to load h until that succeeds or ctx ends.
func (n *Node) loadUntil(ctx context.Context, h *host, l *loading) {
	most := maxReload
	if l.again {
		most = maxRestart
	}
	for wait := firstReload; ; wait = min(2*wait, most) {
		w, err := n.openFirst(ctx, h, l)
		if err == nil {
			n.haveLoaded(ctx, h, l, w)
			return
		}
		if ctx.Err() != nil {
			return
		}
		n.sayNotLoaded(h, l, err, wait)
		l.fail(err)
		if !pause.For(ctx, wait) {
			return
		}
	}
}

// openFirst opens a worker of h when it is its turn.
func (n *Node) openFirst(ctx context.Context, h *host, l *loading) (w runner.Worker, err error) {
	if err := n.turns.await(ctx, l); err != nil {
		return nil, err
	}
	pass := sync.OnceFunc(n.turns.pass)
	defer pass()
	defer time.AfterFunc(slowLoad, func() { n.log.Info("loading "+h.base(), "seed", h.name) }).Stop()
	defer time.AfterFunc(turnTime, pass).Stop()
	if h.runner == nil {
		if h.runner, err = n.openRunner(h.manifest); err != nil {
			return nil, err
		}
	}
	w, err = h.runner.Open(ctx)
	if t, ok := h.runner.(runner.Teller); ok && err == nil {
		loaded := t.Loaded()
		h.loaded.Store(&loaded)
	}
	return w, err
}

// base is how people call what the seed is loaded from.
func (h *host) base() string {
	if h.manifest.File == "" {
		return h.name
	}
	return filepath.Base(h.manifest.File)
}

// sayNotLoaded says why a seed could not be loaded, unless that was said before.
func (n *Node) sayNotLoaded(h *host, l *loading, err error, next time.Duration) {
	h.faults.note(err)
	before := l.why()
	args := []any{"error", err}
	var fault *runner.Fault
	if errors.As(err, &fault) && fault.Output != "" {
		args = append(args, "output", fault.Output)
	}
	if before != nil && before.Error() == err.Error() {
		n.log.Debug(fmt.Sprintf("seed %s of %s is not loaded, next try in %v", h.name, where(h.manifest), next), args...)
		return
	}
	meanwhile := "its packets wait"
	if n.isNext(h) {
		meanwhile = "the seed " + h.name + " goes on as it was"
	}
	n.log.Error(fmt.Sprintf("seed %s of %s is not loaded, and tried again with growing pauses; %s", h.name, where(h.manifest), meanwhile), args...)
}

// isNext tells whether h is to take the place of a seed that runs.
func (n *Node) isNext(h *host) bool {
	n.change.Lock()
	defer n.change.Unlock()
	return n.next[h.manifest.Name] == h
}

// dropNext has nobody load the next version of a seed any more. The caller holds
// n.change.
func (n *Node) dropNext(name seed.Name) {
	if h := n.next[name]; h != nil {
		h.unloaded.Load().stop()
		delete(n.next, name)
	}
}

// Keep has a seed go on as it is: a next version of it that is not loaded yet is
// given up.
func (n *Node) Keep(name seed.Name) {
	n.change.Lock()
	defer n.change.Unlock()
	n.dropNext(name)
}

// haveLoaded gives h its worker, and has packets brought to it.
func (n *Node) haveLoaded(ctx context.Context, h *host, l *loading, w runner.Worker) {
	n.change.Lock()
	defer n.change.Unlock()
	hosts := maps.Clone(n.snap.Load().hosts)
	before := hosts[h.manifest.Name]
	var old []*host
	switch {
	case ctx.Err() != nil || n.closed:
		n.goroutines.Go(func() { n.closeWorker(h, w) })
		return
	case before != h: // it is the next version
		delete(n.next, h.manifest.Name)
		hosts[h.manifest.Name] = h
		if before != nil {
			old = append(old, before)
			h.inherit(before)
			n.log.Info(fmt.Sprintf("the new version of seed %s of %s runs from now on", h.name, where(h.manifest)))
		}
	}
	h.take(w)
	if l.why() != nil {
		n.log.Info(fmt.Sprintf("seed %s of %s is loaded now", h.name, where(h.manifest)))
	}
	h.unloaded.Store(nil)
	if !h.paused() {
		h.queue.reopen()
	}
	n.swap(hosts, old)
	close(l.loaded)
	if l.why() == nil {
		close(l.tried)
	}
	n.startInjector(h)
}

// inherit makes h the successor of a seed of its name.
func (h *host) inherit(before *host) {
	if sameContract(before.manifest.Contract, h.manifest.Contract) {
		h.since = before.since
	}
}

// take makes w the worker of a slot that has none.
func (h *host) take(w runner.Worker) {
	for _, s := range h.slots {
		if !s.mu.TryLock() {
			continue
		}
		free := s.worker == nil && !s.retired
		if free {
			s.worker, s.idleSince = w, h.node.clock.now()
		}
		s.mu.Unlock()
		if free {
			return
		}
	}
	h.node.closeWorker(h, w) // all have theirs
}

func (n *Node) closeWorker(h *host, w runner.Worker) {
	if err := w.Close(); err != nil {
		n.log.Warn("ending a worker of seed "+h.name, "error", err)
	}
}

// unload has nothing brought to h any more until a worker of it can be started: one
// could not, for this reason. What was to run goes to the inbox as it is, since that is
// no failure of a run. It is false if h is not hosted any more.
func (n *Node) unload(h *host, err error, its []item) bool {
	n.change.Lock()
	var left withdrawn
	hosted := !n.closed && n.snap.Load().hosts[h.manifest.Name] == h
	if hosted && n.pulling.Err() == nil && h.unloaded.Load() == nil {
		n.startLoading(h, err)
		n.log.Error(fmt.Sprintf("no worker of seed %s can be started: this is tried again with growing pauses, and its packets wait", h.name), "error", err)
		h.faults.note(err)
		n.swap(maps.Clone(n.snap.Load().hosts), nil)
		left = h.withdraw()
	}
	left.items = append(left.items, its...)
	n.change.Unlock()
	switch {
	case n.running.Err() != nil:
		for _, it := range left.all() {
			n.abandon(&it)
		}
	case hosted:
		if err := h.putBack(n.running, left); err != nil {
			n.log.Warn("storing what a seed that is not loaded was to run", "seed", h.name, "error", err)
		}
	default:
		for i := range its {
			n.reroute(&its[i], h)
		}
	}
	return hosted && n.pulling.Err() == nil
}

// endLoading has nobody try to load h any more, and waits for that.
func (h *host) endLoading() {
	if l := h.unloaded.Load(); l != nil {
		l.stop()
		<-l.ended
	}
}

// awaitLoaded returns once the seed is loaded; the error is ctx's.
func (h *host) awaitLoaded(ctx context.Context) error {
	for {
		l := h.unloaded.Load()
		if l == nil {
			return ctx.Err()
		}
		select {
		case <-l.loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Loaded waits for the first attempt to load a seed that was given to [Node.Host], and
// returns why it failed. It does not wait for a seed that is not hosted.
func (n *Node) Loaded(ctx context.Context, name seed.Name) error {
	n.change.Lock()
	h := n.next[name]
	if h == nil {
		h = n.snap.Load().hosts[name]
	}
	n.change.Unlock()
	if h == nil {
		return nil
	}
	l := h.unloaded.Load()
	if l == nil {
		return nil
	}
	select {
	case <-l.tried:
		return l.why()
	case <-l.ended:
		return l.why()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unready says which seeds have not been loaded since they were hosted at the start
// of the node, and why, a line each.
func (n *Node) Unready() []string {
	hosts := n.snap.Load().hosts
	var out []string
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		h := hosts[name]
		if l := h.unloaded.Load(); l == nil || l.again || !h.first {
			continue
		} else if err := l.why(); err != nil {
			out = append(out, fmt.Sprintf("seed %s is not loaded: %v", name, err))
		} else {
			out = append(out, "loading "+h.base())
		}
	}
	return out
}

// wantStored has those seeds loaded first that packets in the store wait for.
func (n *Node) wantStored(ctx context.Context) {
	queues, err := n.store.Queues(ctx)
	if err != nil {
		return // the order matters little
	}
	hosts := n.snap.Load().hosts
	for _, c := range queues {
		if name, ok := c.Queue.Seed(); ok && c.Packets > 0 && hosts[name] != nil {
			if l := hosts[name].unloaded.Load(); l != nil {
				l.want()
			}
		}
	}
}

// items are the packets of the batch that the slot has taken, with their counts.
func (b *batch) items() []item {
	its := make([]item, len(b.packets))
	for i := range b.packets {
		its[i] = item{Packet: b.packets[i], from: b.from[i]}
		if from := b.from[i]; from != nil {
			its[i].sole = from.frame.sole
		}
	}
	return its
}

// errNoWorker is a run that did not begin, since no worker could be started.
var errNoWorker = errors.New("no worker could be started")
