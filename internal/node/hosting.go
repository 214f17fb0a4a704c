package node

import (
	"context"
	"sync"
	"time"

	"github.com/recap/pumpkin/seed"
)

// Here seeds begin and end to work.

// startPull brings what comes to h's inbox, in the own store and in those of the
// peers, to its queue from now on. The caller holds n.change.
func (n *Node) startPull(h *host, peers []*peer) {
	if !n.begun || h.manifest.Contract.Injector() || h.held() {
		return
	}
	if n.injecting.Err() != nil {
		peers = nil // the node leaves: what lies with others is safe there
	}
	h.pulls.without(peers)
	h.pulls.begin(n.pulling, nil, func(ctx context.Context) {
		n.goroutines.Go(func() { n.pull(ctx, h, nil, n.store.Pull, whole) })
	})
	for _, from := range peers {
		if from.store != nil {
			h.pulls.begin(n.pulling, from, func(ctx context.Context) {
				n.goroutines.Go(func() { n.pull(ctx, h, from, from.store.Pull, whole) })
				// What comes there while the answer of one pull is on its way here has
				// another that waits for it.
				n.goroutines.Go(func() { n.pull(ctx, h, from, from.store.Pull, h.second) })
			})
		}
	}
}

// startInjector runs h's injector from now on. The caller holds n.change.
func (n *Node) startInjector(h *host) {
	if !n.begun || !h.manifest.Contract.Injector() || h.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(n.injecting)
	h.stop = stop
	n.goroutines.Go(func() {
		defer close(h.ended)
		defer stop()
		if h.manifest.Once && n.endedBefore(ctx, h.manifest.Name) {
			h.starts.become(InjectorEnded, time.Time{})
			return
		}
		n.inject(ctx, h, func() { n.rememberEnd(ctx, h.manifest.Name) })
	})
}

// retire ends the seed: it takes no more packets, what runs is finished, and
// what is left in the queue is routed anew. It blocks until all is done.
func (n *Node) retire(h *host) {
	if h.stop != nil {
		h.stop()
		<-h.ended
	}
	h.endLoading()
	h.pulls.end()
	left := h.queue.close()
	rest := append(left.all(), h.undelay()...)
	for i := range rest {
		n.reroute(&rest[i], h)
	}
	n.closeSlots(h)
}

// closeSlots waits for every run and ends the workers, each in its own time.
func (n *Node) closeSlots(h *host) {
	var all sync.WaitGroup
	for _, s := range h.slots {
		all.Go(func() {
			s.retire()
			if s.worker != nil {
				n.closeWorker(h, s.worker)
			}
		})
	}
	all.Wait()
}

// reap ends the workers of a seed that have had nothing to do for a while.
func (n *Node) reap(h *host, now time.Duration) {
	keep := h.manifest.KeepIdle()
	if h.manifest.Kind == seed.Go || keep == seed.Never {
		return // a function costs nothing
	}
	for _, s := range h.slots {
		if !s.take() {
			continue
		}
		if w := s.worker; w != nil && now-s.idleSince > keep {
			s.worker = nil
			n.goroutines.Go(func() { n.closeWorker(h, w) }) // which may take its time
		}
		s.release()
		if h.queue.length.Load() > 0 {
			h.wake() // for a packet that came while the slot was held
		}
	}
}
