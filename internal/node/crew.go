package node

import (
	"context"
	"sync"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/seed"
)

// A crew are the workers of a seed: whatever has room for a packet of the seed gives it to
// them.
type crew struct {
	*flow
	host *host
	runs []*run // of each slot

	beside sync.Mutex // held to take a slot while an elder still works
}

// newSeed is the host of a seed, with its crew.
func (f *flow) newSeed(m seed.Manifest, r runner.Runner) *host {
	h := newHost(m, f.cfg.Kinds.Traits(m), r)
	c := &crew{flow: f, host: h, runs: make([]*run, len(h.slots))}
	for i, s := range h.slots {
		c.runs[i] = &run{flow: f, host: h, slot: s}
	}
	h.wake, h.crew = c.wake, c
	return h
}

// acquire takes a free slot, or nil. The caller releases it.
func (c *crew) acquire() *run {
	if c.host.elder.Load() != nil {
		c.beside.Lock()
		defer c.beside.Unlock()
		if c.host.eldersBusy()+c.host.busy() >= len(c.runs) {
			return nil // it is woken when an elder has ended a run
		}
	}
	for _, r := range c.runs {
		s := r.slot
		if !s.take() {
			continue
		}
		if s.worker != nil || s.notBefore == 0 || c.clock.now() >= s.notBefore {
			return r
		}
		s.release()
	}
	return nil
}

// wake sees to it that somebody works on the queue.
func (c *crew) wake() {
	if r := c.acquire(); r != nil {
		c.goroutines.Go(func() { c.pump(r) })
	}
}

// pump works on the queue until it is empty, then releases the slot.
func (c *crew) pump(r *run) {
	h := c.host
	for {
		most := h.cost.batch(int(h.queue.length.Load()), len(h.slots))
		h.queue.take(&r.room, most)
		if len(r.room.packets) > 0 {
			goesOn := r.batch()
			r.room.reset()
			if goesOn {
				continue
			}
			r.slot.release() // others do the work
			return
		}
		r.slot.release()
		// A packet that came since found the slot taken.
		if h.queue.length.Load() == 0 || !r.slot.take() {
			return
		}
	}
}

// inPlace runs a packet that a run has given on the goroutine of that, if the seed is cheap
// and has a free slot and an empty queue: false means that it did not. The item's count stays
// its caller's.
func (h *host) inPlace(by *caller, it *item) bool {
	if !h.Inline || by.depth >= inlineDepth || !h.cost.cheap() || h.queue.length.Load() != 0 || it.Wish != nil {
		return false
	}
	c := h.crew.(*crew)
	r := c.acquire()
	if r == nil {
		return false
	}
	if r.slot.worker == nil {
		r.slot.release()
		return false
	}
	r.inPlace(by, it)
	r.slot.release()
	if h.queue.length.Load() > 0 {
		c.wake()
	}
	return true
}

// openAll opens the workers of a Go function, which cost nothing.
func (f *flow) openAll(ctx context.Context, h *host) error {
	for _, s := range h.slots {
		w, err := h.runner.Open(ctx)
		if err != nil {
			return err
		}
		s.employ(w, f.clock.now())
	}
	return nil
}
