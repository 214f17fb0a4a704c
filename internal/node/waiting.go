package node

import (
	"context"
	"sync"
	"time"

	"github.com/recap/pumpkin/packet"
)

// The bounds of what waits in memory. Roots are refused at the first; what
// descends from a packet that is already here may use the reserve behind it.
const (
	maxWaitingBytes     = 256 << 20
	maxWaitingBytesDesc = maxWaitingBytes + maxWaitingBytes/5
)

// waiting holds the packets that no seed accepts, by state.
type waiting struct {
	mu     sync.Mutex
	states map[packet.State]*waitingState
	bytes  int
	room   chan struct{} // closed when there is room again; nil while nobody waits
	open   bool          // the node drains: nobody waits for room any more
}

type waitingState struct {
	packets []packet.Packet
	bytes   int
	since   time.Time
	why     string
}

func newWaiting() *waiting { return &waiting{states: map[packet.State]*waitingState{}} }

// put lays p down unless accepted, asked under the lock, says that its state
// has an acceptor by now; then it returns false. It blocks while there is no
// room, calling full once before it does. First is true for the state's first
// packet.
func (w *waiting) put(ctx context.Context, p *packet.Packet, why string, accepted func() bool, full func()) (put, first bool, err error) {
	w.mu.Lock()
	for {
		if accepted() {
			w.mu.Unlock()
			return false, false, nil
		}
		bound := maxWaitingBytesDesc
		if p.Trail == nil || p.Trail.Prev == nil {
			bound = maxWaitingBytes
		}
		if w.bytes < bound || w.open {
			break
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		full()
		select {
		case <-room:
		case <-ctx.Done():
			return false, false, ctx.Err()
		}
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	s := w.states[p.State]
	if s == nil {
		s = &waitingState{since: time.Now(), why: why}
		w.states[p.State] = s
		first = true
	}
	s.packets = append(s.packets, *p)
	s.bytes += p.Size()
	w.bytes += p.Size()
	return true, first, nil
}

// claim takes everything out whose state now has an acceptor, and lets those
// look again who wait for room.
func (w *waiting) claim(accepted func(*packet.Packet) bool) []packet.Packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []packet.Packet
	for state, s := range w.states {
		kept := s.packets[:0]
		for i := range s.packets {
			if p := &s.packets[i]; accepted(p) {
				out = append(out, *p)
				s.bytes -= p.Size()
				w.bytes -= p.Size()
			} else {
				kept = append(kept, *p)
			}
		}
		clear(s.packets[len(kept):])
		if s.packets = kept; len(kept) == 0 {
			delete(w.states, state)
		}
	}
	w.wake()
	return out
}

// release lets everybody in who waits for room, from now on.
func (w *waiting) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = true
	w.wake()
}

func (w *waiting) wake() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// look lists what waits.
func (w *waiting) look() []Waiting {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Waiting, 0, len(w.states))
	for state, s := range w.states {
		out = append(out, Waiting{State: state, Packets: len(s.packets), Bytes: s.bytes, Since: s.since, Why: s.why})
	}
	return out
}
