package node

import (
	"sync"

	"github.com/recap/pumpkin/packet"
)

// waits knows the states in which packets wait in the store, and which of them
// are to be looked through for packets that a seed accepts by now.
type waits struct {
	mu     sync.Mutex
	states map[packet.State]*waitState
	again  bool // every place of the store is to be looked through
	busy   bool
	news   chan struct{} // has an element when there is something to do
}

type waitState struct {
	next uint64 // frames below were looked at and stay
	look bool
	why  string // of the newest packet that was stored here
	said bool   // that packets wait here
}

func newWaits() *waits {
	return &waits{states: map[packet.State]*waitState{}, news: make(chan struct{}, 1)}
}

// state is the entry of s. The caller holds w.mu.
func (w *waits) state(s packet.State) *waitState {
	st := w.states[s]
	if st == nil {
		st = &waitState{}
		w.states[s] = st
	}
	return st
}

func (w *waits) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// rescan has everything looked through that waits: what is accepted has
// changed.
func (w *waits) rescan() {
	w.mu.Lock()
	w.again = true
	w.mu.Unlock()
	w.wake()
}

// idle tells whether nothing is being looked through or moved.
func (w *waits) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, st := range w.states {
		if st.look {
			return false
		}
	}
	return !w.busy && !w.again
}

// passed notes that the frames of a state below next were looked at.
func (w *waits) passed(state packet.State, next uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.state(state)
	st.next = max(st.next, next)
}
