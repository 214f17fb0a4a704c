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
// caller holds r.change.
func (r *roster) startLoading(h *host, failed error) {
	ctx, stop := context.WithCancel(r.pulling)
	l := &loading{hurry: r.turns.hurry, stop: stop, again: failed != nil, tried: make(chan struct{}), loaded: make(chan struct{}), ended: make(chan struct{})}
	if h.manifest.Contract.Injector() || failed != nil {
		l.want()
	}
	wait := time.Duration(0)
	if failed != nil {
		l.fail(failed)
		wait = firstReload
	}
	h.unloaded.Store(l)
	r.goroutines.Go(func() {
		defer close(l.ended)
		defer stop()
		if pause.For(ctx, wait) {
			r.loadUntil(ctx, h, l)
		}
	})
}

// loadUntil tries to load h until that succeeds or ctx ends.
func (r *roster) loadUntil(ctx context.Context, h *host, l *loading) {
	most := maxReload
	if l.again {
		most = maxRestart
	}
	for wait := firstReload; ; wait = min(2*wait, most) {
		w, err := r.openFirst(ctx, h, l)
		if err == nil {
			r.haveLoaded(ctx, h, l, w)
			return
		}
		if ctx.Err() != nil {
			return
		}
		r.sayNotLoaded(h, l, err, wait)
		l.fail(err)
		if !pause.For(ctx, wait) {
			return
		}
	}
}

// openFirst opens a worker of h when it is its turn.
func (r *roster) openFirst(ctx context.Context, h *host, l *loading) (w runner.Worker, err error) {
	if err := r.turns.await(ctx, l); err != nil {
		return nil, err
	}
	pass := sync.OnceFunc(r.turns.pass)
	defer pass()
	defer time.AfterFunc(slowLoad, func() { r.log.Info("loading "+h.base(), "seed", h.name) }).Stop()
	defer time.AfterFunc(turnTime, pass).Stop()
	if h.runner == nil {
		if h.runner, err = r.openRunner(h.manifest); err != nil {
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

func (r *roster) openRunner(m seed.Manifest) (runner.Runner, error) {
	return r.cfg.Kinds.Open(m, runner.Env{
		Node: r.cfg.Name, MaxData: r.cfg.MaxData, Stores: r.stored(), Blobs: r.runnerBlobs(), LoadTimeout: r.cfg.LoadTimeout,
		Print: func(line string) error { return r.cfg.Print(m, line) },
		Warn:  func(line string) { r.log.Warn(line) },
	})
}

// sayNotLoaded says why a seed could not be loaded, unless that was said before.
func (r *roster) sayNotLoaded(h *host, l *loading, err error, next time.Duration) {
	h.faults.note(err)
	before := l.why()
	args := []any{"seed", h.name, "error", err}
	var fault *runner.Fault
	if errors.As(err, &fault) && fault.Output != "" {
		args = append(args, "output", fault.Output)
	}
	if before != nil && before.Error() == err.Error() {
		r.log.Debug(fmt.Sprintf("seed %s of %s is not loaded, next try in %v", h.name, where(h.manifest), next), args...)
		return
	}
	meanwhile := "its packets wait"
	if r.isNext(h) {
		meanwhile = "the seed " + h.name + " goes on as it was"
	}
	r.log.Error(fmt.Sprintf("seed %s of %s is not loaded, and tried again with growing pauses; %s", h.name, where(h.manifest), meanwhile), args...)
}

// isNext tells whether h is to take the place of a seed that runs.
func (r *roster) isNext(h *host) bool {
	r.change.Lock()
	defer r.change.Unlock()
	return r.next[h.manifest.Name] == h
}

// dropNext has nobody load the next version of a seed any more. The caller holds
// r.change.
func (r *roster) dropNext(name seed.Name) {
	if h := r.next[name]; h != nil {
		h.unloaded.Load().stop()
		delete(r.next, name)
	}
}

// Keep has a seed go on as it is: a next version of it that is not loaded yet is
// given up.
func (r *roster) Keep(name seed.Name) {
	r.change.Lock()
	defer r.change.Unlock()
	r.dropNext(name)
}

// haveLoaded gives h its worker, and has packets brought to it.
func (r *roster) haveLoaded(ctx context.Context, h *host, l *loading, w runner.Worker) {
	r.change.Lock()
	defer r.change.Unlock()
	hosts := maps.Clone(r.snap.Load().hosts)
	before := hosts[h.manifest.Name]
	var old []*host
	switch {
	case ctx.Err() != nil || r.closed:
		r.goroutines.Go(func() { r.closeWorker(h, w) })
		return
	case before != h: // it is the next version
		delete(r.next, h.manifest.Name)
		hosts[h.manifest.Name] = h
		if before != nil {
			old = append(old, before)
			h.inherit(before)
			r.log.Info(fmt.Sprintf("the new version of seed %s of %s runs from now on", h.name, where(h.manifest)), "seed", h.name)
		}
	}
	r.employ(h, w)
	if l.why() != nil {
		r.log.Info(fmt.Sprintf("seed %s of %s is loaded now", h.name, where(h.manifest)), "seed", h.name)
	}
	h.unloaded.Store(nil)
	if !h.paused() {
		h.queue.reopen()
	}
	r.swap(hosts, old)
	close(l.loaded)
	if l.why() == nil {
		close(l.tried)
	}
	r.startInjector(h)
}

// employ makes w the worker of a slot that has none.
func (r *roster) employ(h *host, w runner.Worker) {
	for _, s := range h.slots {
		if !s.take() {
			continue
		}
		free := s.worker == nil
		if free {
			s.employ(w, r.clock.now())
		}
		s.release()
		if free {
			return
		}
	}
	r.goroutines.Go(func() { r.closeWorker(h, w) }) // all have theirs, and its end may take time
}

// unload has nothing brought to h any more until a worker of it can be started: one
// could not, for this reason. What was to run goes to the inbox as it is, since that is
// no failure of a run. It is false if h is not hosted any more.
func (r *roster) unload(h *host, err error, its []item) bool {
	r.change.Lock()
	var left withdrawn
	hosted := !r.closed && r.snap.Load().hosts[h.manifest.Name] == h
	if hosted && r.pulling.Err() == nil && h.unloaded.Load() == nil {
		r.startLoading(h, err)
		r.log.Error(fmt.Sprintf("no worker of seed %s can be started: this is tried again with growing pauses, and its packets wait", h.name), "error", err, "seed", h.name)
		h.faults.note(err)
		r.swap(maps.Clone(r.snap.Load().hosts), nil)
		left = h.withdraw()
	}
	left.items = append(left.items, its...)
	r.change.Unlock()
	switch {
	case r.running.Err() != nil:
		for _, it := range left.all() {
			r.abandon(&it)
		}
	case hosted:
		if err := r.putBack(r.running, h, left); err != nil {
			r.log.Warn("storing what a seed that is not loaded was to run", "seed", h.name, "error", err)
		}
	default:
		for i := range its {
			r.reroute(&its[i], h)
		}
	}
	return hosted && r.pulling.Err() == nil
}

// Loaded waits for the first attempt to load a seed that was given to [Node.Host], and
// returns why it failed. It does not wait for a seed that is not hosted.
func (r *roster) Loaded(ctx context.Context, name seed.Name) error {
	r.change.Lock()
	h := r.next[name]
	if h == nil {
		h = r.snap.Load().hosts[name]
	}
	r.change.Unlock()
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
func (r *roster) Unready() []string {
	hosts := r.snap.Load().hosts
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
func (r *roster) wantStored(ctx context.Context) {
	queues, err := r.store.Queues(ctx)
	if err != nil {
		return // the order matters little
	}
	hosts := r.snap.Load().hosts
	for _, c := range queues {
		if name, ok := c.Queue.Seed(); ok && c.Packets > 0 && hosts[name] != nil {
			if l := hosts[name].unloaded.Load(); l != nil {
				l.want()
			}
		}
	}
}
