package node

import "sync/atomic"

// A watch has the node look at what its workers do, now and then while they do
// something. An idle node is not woken by it. Its zero value is awake.
type watch struct {
	asleep atomic.Bool
	woken  chan struct{} // holds one
	taken  uint64        // packets that seeds had been given at the last look
}

// wake is called when a worker begins something.
func (w *watch) wake() {
	if w.asleep.Load() && w.asleep.Swap(false) {
		select {
		case w.woken <- struct{}{}:
		default: // that it is to wake is known
		}
	}
}

// sleep has nobody look until a worker begins something, unless one works now; it
// tells whether.
func (n *Node) sleep() bool {
	before := n.watch.taken
	n.watch.taken = n.taken()
	if n.watch.taken != before || n.works() {
		return false
	}
	n.watch.asleep.Store(true)
	// Looked at once more: one may have begun in between.
	return n.taken() == n.watch.taken && !n.works() || !n.watch.asleep.Swap(false)
}

// works tells whether a worker has a batch.
func (n *Node) works() bool {
	for _, h := range n.snap.Load().hosts {
		for _, s := range h.slots {
			if s.busy.Load() != 0 {
				return true
			}
		}
	}
	return false
}
