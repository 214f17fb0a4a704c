package node

import (
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// swap makes hosts, and what the peers host, the network, has the seeds pulled
// for, and retires old in the background. The caller holds r.change.
func (r *roster) swap(hosts map[seed.Name]*host, old []*host) {
	before := r.snap.Load()
	r.keepPaused(hosts)
	r.resubscribe(hosts)
	snap := r.newSnapshot(hosts)
	if refused := r.refuse(hosts, snap.net); len(refused) > 0 {
		old = append(old, refused...)
		r.resubscribe(hosts)
		snap = r.newSnapshot(hosts)
	}
	for _, h := range old {
		r.leaving[h] = true
		if l := h.unloaded.Load(); l != nil {
			l.stop() // else it could still take the place of its successor
		}
		h.shared = map[packet.State]bool{}
		for state, to := range before.accept {
			h.shared[state] = len(to) > 1
		}
	}
	for _, h := range hosts {
		snap.connect(h)
	}
	for h := range r.leaving {
		snap.connect(h)
	}
	r.snap.Store(snap)
	r.tellAway(snap)
	if len(snap.ended) > 0 {
		select {
		case r.orphaned <- struct{}{}:
		default: // it looks at the newest anyway
		}
	}
	r.say()
	for _, h := range hosts {
		r.startPull(h, r.peers)
	}
	for _, h := range before.hosts {
		h.queue.recheck()
	}
	for _, h := range old {
		r.goroutines.Go(func() {
			r.retire(h)
			r.change.Lock()
			delete(r.leaving, h)
			r.change.Unlock()
		})
	}
	for _, news := range []chan struct{}{r.changed, r.toSave} {
		select {
		case news <- struct{}{}:
		default: // who waits for it looks at the newest anyway
		}
	}
}

// keepPaused marks the hosts whose seed is paused. The caller holds r.change.
func (r *roster) keepPaused(hosts map[seed.Name]*host) {
	for name, resumed := range r.halted {
		if h := hosts[name]; h != nil && !h.paused() {
			h.resumed.Store(&resumed)
		}
	}
}

// newSnapshot works out where every state goes when the node hosts these. The caller holds
// r.change.
func (r *roster) newSnapshot(hosts map[seed.Name]*host) *snapshot {
	return newSnapshot(r.cfg.Name, hosts, r.peers, r.subs, r.pulling.Err() != nil)
}

// leftCount counts the seeds that were replaced or removed and still finish what
// they have.
func (r *roster) leftCount() int {
	r.change.Lock()
	defer r.change.Unlock()
	return len(r.leaving)
}
