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
