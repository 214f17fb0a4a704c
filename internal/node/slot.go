package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A slot is a place for one worker of a seed, and what it has counted. Whoever has taken
// the slot uses the worker, and nobody else.
type slot struct {
	state atomic.Int32
	// freed has an element when the slot may be free, for whoever said by wanted that
	// they wait.
	wanted atomic.Bool
	freed  chan struct{}

	worker    runner.Worker // nil until there is work
	idleSince time.Duration // by the node's clock
	manned    atomic.Bool   // whether there is a worker, for those who have not taken the slot
	notBefore time.Duration // by the node's clock: until then no worker is started here

	// busy is since when a batch runs, by the node's clock; 0 while none does.
	busy atomic.Int64
	// in and out count by state, in the order of the contract: at least one each,
	// so that an injector's runs and an extractor's nothing have a place.
	in, out []atomic.Uint64
	failed  atomic.Uint64
	// filtered counts the runs that gave nothing, though the contract has outputs.
	filtered atomic.Uint64

	_ [128]byte // slots of a seed are taken at the same time: each has lines of the cache of its own
}

// The states of a slot.
const (
	slotFree int32 = iota
	slotTaken
	slotRetired // for good
)

// take takes the slot if it is free: false means that it is not.
func (s *slot) take() bool { return s.state.CompareAndSwap(slotFree, slotTaken) }

// taken tells whether somebody uses the worker.
func (s *slot) taken() bool { return s.state.Load() == slotTaken }

// release makes a slot free that the caller has taken.
func (s *slot) release() {
	s.state.Store(slotFree)
	if s.wanted.Load() {
		select {
		case s.freed <- struct{}{}:
		default: // it is known
		}
	}
}

// await takes the slot when it is free; false means that ctx has ended before, or that it
// is retired.
func (s *slot) await(ctx context.Context) bool {
	s.wanted.Store(true)
	for !s.take() {
		if s.state.Load() == slotRetired {
			return false
		}
		select {
		case <-s.freed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// employ gives the slot a worker.
func (s *slot) employ(w runner.Worker, now time.Duration) {
	s.worker, s.idleSince = w, now
	s.manned.Store(true)
}

// dismiss takes the worker out of the slot; nil if there is none.
func (s *slot) dismiss() runner.Worker {
	w := s.worker
	s.worker = nil
	s.manned.Store(false)
	return w
}

// retire waits until the slot is free, and lets nobody take it any more. The worker is
// the caller's.
func (s *slot) retire() {
	s.wanted.Store(true)
	for !s.state.CompareAndSwap(slotFree, slotRetired) && s.state.Load() != slotRetired {
		<-s.freed
	}
}

// counters are those of one slot, by state. They fill lines of the cache of their
// own, since the slots of a seed count at the same time.
func counters(c seed.Contract) (in, out []atomic.Uint64) {
	const line = 64 / 8
	ins, outs := max(len(c.In), 1), max(len(c.Out), 1)
	all := make([]atomic.Uint64, ins+outs, (ins+outs+line-1)/line*line)
	return all[:ins:ins], all[ins:]
}

// countIn counts the packets of a batch by their states, which the contract names.
func (s *slot) countIn(states []packet.State, batch []packet.Packet) {
	if len(s.in) == 1 {
		s.in[0].Add(uint64(len(batch)))
		return
	}
	for i := range batch {
		for k, state := range states {
			if state == batch[i].State {
				s.in[k].Add(1)
				break
			}
		}
	}
}
