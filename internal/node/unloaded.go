package node

import (
	"context"
	"sync"
	"sync/atomic"
)

// A loading is the way of a host to its first worker, or, after one could not be
// started, to the next. A host that has one is an acceptor like others, but nothing is
// brought to it: its packets wait in its inbox.
type loading struct {
	hurry  func() // lets in who is wanted since
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
		l.hurry()
	}
}
