package runner

import (
	"sync"
	"sync/atomic"
	"time"
)

// GiveBack is how long a worker may be at a batch before it gives back what of it has
// not begun: ten times what a batch should take, so one of its runs takes much longer
// than was predicted, and other workers may be free.
const GiveBack = 200 * time.Millisecond

// Claims are the runs of a batch, each of which is begun or given back. The zero value
// has none.
type Claims struct {
	state atomic.Uint64 // runs that have begun, and how many there are, 32 bits each
	mu    sync.Mutex    // held while some are given back
	back  func(from int)
	timer *time.Timer
	due   time.Time // when those that have not begun are given back
}

// Start makes them n runs. back is called once, from another goroutine, with the first
// of those that have not begun after [GiveBack], if there are any by then.
func (c *Claims) Start(n int, back func(from int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Store(uint64(n)) //nolint:gosec // a batch
	c.back, c.due = back, time.Now().Add(GiveBack)
	if n < 2 {
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(GiveBack, c.giveBack)
	} else {
		c.timer.Reset(GiveBack)
	}
}

// Next begins the next run; false means that there is none.
func (c *Claims) Next() (i int, ok bool) {
	s := c.state.Add(1 << 32)
	begun, n := s>>32, s&(1<<32-1)
	return int(begun) - 1, begun <= n //nolint:gosec // a batch
}

// End is called when Next has said that there is none. Afterwards back is not called.
func (c *Claims) End() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.back = nil
}

func (c *Claims) giveBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.due) {
		return // the batch that this was for has ended, and another begun
	}
	for c.back != nil {
		s := c.state.Load()
		begun, n := s>>32, s&(1<<32-1)
		if begun >= n {
			return
		}
		if c.state.CompareAndSwap(s, begun<<32|begun) {
			c.back(int(begun)) //nolint:gosec // a batch
			return
		}
	}
}
