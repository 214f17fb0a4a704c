package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
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

// startLoading brings h to a worker in the background, and tries again as long as
// that fails. failed is why the worker before could not be started, nil at first. The
// caller holds n.change.
func (n *Node) startLoading(h *host, failed error) {
	ctx, stop := context.WithCancel(n.pulling)
	l := &loading{hurry: n.turns.hurry, stop: stop, again: failed != nil, tried: make(chan struct{}), loaded: make(chan struct{}), ended: make(chan struct{})}
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
	return h.runner.Open(ctx)
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
	n.employ(h, w)
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

// employ makes w the worker of a slot that has none.
func (n *Node) employ(h *host, w runner.Worker) {
	for _, s := range h.slots {
		if !s.take() {
			continue
		}
		free := s.worker == nil
		if free {
			s.worker, s.idleSince = w, n.clock.now()
		}
		s.release()
		if free {
			return
		}
	}
	n.closeWorker(h, w) // all have theirs
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
		if err := n.putBack(n.running, h, left); err != nil {
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
