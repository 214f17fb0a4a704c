package node

import (
	"context"
	"sync"
	"time"

	"github.com/recap/pumpkin/seed"
)

// Here seeds begin and end to work.

// startPull brings what comes to h's inbox, in the own store and in those of the
// peers, to its queue from now on. The caller holds r.change.
func (r *roster) startPull(h *host, peers []*peer) {
	if !r.begun || h.manifest.Contract.Injector() || h.held() {
		return
	}
	if r.injecting.Err() != nil {
		peers = nil // the node leaves: what lies with others is safe there
	}
	h.pulls.without(peers)
	h.pulls.begin(r.pulling, nil, func(ctx context.Context) {
		r.goroutines.Go(func() { r.pull(ctx, h, nil, r.store.Pull, whole) })
	})
	for _, from := range peers {
		if from.store != nil {
			h.pulls.begin(r.pulling, from, func(ctx context.Context) {
				r.goroutines.Go(func() { r.pull(ctx, h, from, from.store.Pull, whole) })
				// What comes there while the answer of one pull is on its way here has
				// another that waits for it.
				r.goroutines.Go(func() { r.pull(ctx, h, from, from.store.Pull, h.second) })
			})
		}
	}
}

// startInjector runs h's injector from now on. The caller holds r.change.
func (r *roster) startInjector(h *host) {
	if !r.begun || !h.manifest.Contract.Injector() || h.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(r.injecting)
	h.stop = stop
	r.goroutines.Go(func() {
		defer close(h.ended)
		defer stop()
		for e := h.elder.Load(); e != nil; e = e.elder.Load() { // one version runs at a time
			if e.stop == nil {
				continue
			}
			select {
			case <-e.ended:
			case <-ctx.Done():
				return
			}
		}
		if h.manifest.Once && r.endedBefore(ctx, h.manifest.Name) {
			h.starts.become(InjectorEnded, time.Time{})
			return
		}
		r.inject(ctx, h, func() { r.rememberEnd(ctx, h.manifest.Name) })
	})
}

// retire ends the seed: it takes no more packets, what runs is finished, and
// what is left in the queue is routed anew. It blocks until all is done.
func (r *roster) retire(h *host) {
	if h.stop != nil {
		h.stop()
		<-h.ended
	}
	h.endLoading()
	h.pulls.end()
	left := h.queue.close()
	rest := append(left.all(), h.undelay()...)
	for i := range rest {
		r.reroute(&rest[i], h)
	}
	r.closeSlots(h)
	for n := h.successor.Load(); n != nil; n = n.successor.Load() {
		n.elder.CompareAndSwap(h, h.elder.Load())
		n.wake()
	}
}

// closeSlots waits for every run and ends the workers, each in its own time.
func (r *roster) closeSlots(h *host) {
	var all sync.WaitGroup
	for _, s := range h.slots {
		all.Go(func() {
			s.retire()
			for n := h.successor.Load(); n != nil; n = n.successor.Load() {
				n.wake()
			}
			if w := s.dismiss(); w != nil {
				r.closeWorker(h, w)
			}
		})
	}
	all.Wait()
}

// reap ends the workers of a seed that have had nothing to do for a while.
func (r *roster) reap(h *host, now time.Duration) {
	keep := h.manifest.KeepIdle()
	if h.InProcess || keep == seed.Never {
		return
	}
	for _, s := range h.slots {
		if !s.take() {
			continue
		}
		if w := s.worker; w != nil && now-s.idleSince > keep {
			s.dismiss()
			r.goroutines.Go(func() { r.closeWorker(h, w) }) // which may take its time
		}
		s.release()
		if h.queue.length.Load() > 0 {
			h.wake() // for a packet that came while the slot was held
		}
	}
}

// endLoading has nobody try to load h any more, and waits for that.
func (h *host) endLoading() {
	if l := h.unloaded.Load(); l != nil {
		l.stop()
		<-l.ended
	}
}
