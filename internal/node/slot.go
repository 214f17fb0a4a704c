package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/runner"
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

	// busy is since when a batch runs, by the node's clock; 0 while none does.
	busy atomic.Int64
	// in and out count by state, in the order of the contract: at least one each,
	// so that an injector's runs and an extractor's nothing have a place.
	in, out []atomic.Uint64
	failed  atomic.Uint64
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

// retire waits until the slot is free, and lets nobody take it any more. The worker is
// the caller's.
func (s *slot) retire() {
	s.wanted.Store(true)
	for !s.state.CompareAndSwap(slotFree, slotRetired) && s.state.Load() != slotRetired {
		<-s.freed
	}
}
