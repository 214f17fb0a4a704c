package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
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

	// hands is held from looking at frames to claiming them, so that nobody
	// moves a frame that somebody else has taken out since.
	hands sync.Mutex
}

type waitState struct {
	next   uint64          // frames below were looked at and stay, or move
	moving map[uint64]bool // frames whose packets are on their way out
	moved  map[uint64]bool // frames that went out since the last look at the state began
	look   bool
	why    string // of the newest packet that was laid down here
	told   bool
}

func newWaits() *waits {
	return &waits{states: map[packet.State]*waitState{}, news: make(chan struct{}, 1)}
}

// state is the entry of s. The caller holds w.mu.
func (w *waits) state(s packet.State) *waitState {
	st := w.states[s]
	if st == nil {
		st = &waitState{moving: map[uint64]bool{}, moved: map[uint64]bool{}}
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

// Arrived has the node look at what somebody else has appended to its store:
// a seed may accept what waits there.
func (n *Node) Arrived() { n.waits.rescan() }

// idle tells whether nothing is being looked through or moved.
func (w *waits) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, st := range w.states {
		if st.look || len(st.moving) > 0 {
			return false
		}
	}
	return !w.busy && !w.again
}

// parked says once that packets wait in a state, p being one of them, and sees
// to it that they do not if a seed has come meanwhile.
func (n *Node) parked(state packet.State, p *packet.Packet) {
	snap := n.snap.Load()
	w := n.waits
	w.mu.Lock()
	st := w.state(state)
	st.look = true
	why := snap.whyWaits(p)
	st.why = why
	first := !st.told
	st.told = true
	w.mu.Unlock()
	w.wake()
	if first {
		n.log.Info(fmt.Sprintf("1 packet waits in %s: %s", state, why))
	}
}

// moveWaiting moves what waits to the inboxes of the seeds that accept it,
// until the node ends. It stands by as long as the node lives: what is laid
// down by a route that is out of date is moved as well.
func (n *Node) moveWaiting() {
	for {
		select {
		case <-n.waits.news:
		case <-n.pulling.Done():
			return
		}
		for wait := minPause; ; wait = min(2*wait, maxPause) {
			err := n.lookThrough()
			if err == nil || n.pulling.Err() != nil {
				break
			}
			n.log.Debug("looking through what waits", "error", err)
			if !pause.For(n.pulling, wait) {
				return
			}
		}
	}
}

// lookThrough looks at every state that is to be looked through.
func (n *Node) lookThrough() error {
	w := n.waits
	w.mu.Lock()
	w.busy = true
	again := w.again
	w.again = false
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.busy = false
		w.mu.Unlock()
	}()
	if again {
		places, err := n.store.Places(n.pulling)
		if err != nil {
			w.rescan()
			return err
		}
		w.mu.Lock()
		for _, c := range places {
			if state, ok := c.Place.State(); ok {
				st := w.state(state)
				st.look, st.next = true, 0
			}
		}
		w.mu.Unlock()
	}
	held, done := context.Context(nil), func() {}
	defer func() { done() }()
	for {
		state, from, ok := n.nextWaiting()
		if !ok {
			return nil
		}
		var err error
		if held == nil {
			held, done, err = n.alone()
		}
		if err == nil {
			err = n.moveState(held, state, from)
		}
		if err != nil {
			w.mu.Lock()
			w.state(state).look = true
			w.mu.Unlock()
			return err
		}
	}
}

// movingWaiting is what only one of the nodes that share a store may do at a time.
const movingWaiting = "waiting"

// alone keeps other nodes that share the store from moving what waits, until done,
// which first lets everything land that is on its way. Without such nodes it does
// nothing.
func (n *Node) alone() (held context.Context, done func(), err error) {
	shared, ok := n.store.(store.Shared)
	if !ok {
		return n.pulling, func() {}, nil
	}
	held, release, err := shared.Exclusive(n.pulling, movingWaiting)
	if err != nil {
		return nil, func() {}, err
	}
	return held, func() {
		for n.waits.moves() && pause.For(held, drainPoll) {
		}
		release()
	}, nil
}

// moves tells whether frames are on their way out.
func (w *waits) moves() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, st := range w.states {
		if len(st.moving) > 0 {
			return true
		}
	}
	return false
}

// nextWaiting picks a state to look through, from the frame of that number on.
// States that nobody accepts have nothing to look for.
func (n *Node) nextWaiting() (packet.State, uint64, bool) {
	snap := n.snap.Load()
	w := n.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	for state, st := range w.states {
		if !st.look {
			continue
		}
		st.look = false
		if len(snap.accept[state]) > 0 {
			return state, st.next, true
		}
	}
	return "", 0, false
}

// moveState moves the packets of a state that are accepted, as long as ctx says.
func (n *Node) moveState(ctx context.Context, state packet.State, from uint64) error {
	began, moved := time.Now(), 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, count, err := n.moveSome(state, from)
		moved += count
		if err != nil || next == from {
			if moved > 0 && !n.trouble.Load() { // else it is tried again and again
				n.log.Info(fmt.Sprintf("%d packets no longer wait in %s", moved, state), "took", time.Since(began).Round(time.Millisecond))
			}
			return err
		}
		from = next
	}
}

// moveSome looks at some frames from that number on and returns the number
// after them.
func (n *Node) moveSome(state packet.State, from uint64) (next uint64, moved int, err error) {
	n.waits.hands.Lock()
	defer n.waits.hands.Unlock()
	next = from
	found, err := n.some(n.pulling, state, from)
	for i := range found {
		if err != nil {
			break
		}
		next = found[i].Number + 1
		n.waits.passed(state, next)
		var count int
		count, err = n.moveFrame(state, &found[i])
		moved += count
	}
	return next, moved, err
}

// some gives a few waiting frames from that number on.
func (n *Node) some(ctx context.Context, state packet.State, from uint64) (found []store.Resting, err error) {
	n.waits.looks(state)
	err = n.store.Look(ctx, store.Waiting(state), from, func(r store.Resting) bool {
		found = append(found, r)
		return len(found) < maxFrames
	})
	return found, err
}

// passed notes that the frames of a state below next were looked at.
func (w *waits) passed(state packet.State, next uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.state(state)
	st.next = max(st.next, next)
}

// moveFrame moves those packets of a frame that are accepted, and lays the
// others down anew if there are both.
func (n *Node) moveFrame(state packet.State, r *store.Resting) (moved int, err error) {
	lease := &waitingFrame{node: n, state: state, Resting: r}
	_, ps, err := packet.ParseFrame(r.Data)
	if err != nil {
		n.damaged(store.Waiting(state), lease, err)
		return 0, nil
	}
	snap := n.snap.Load()
	for i := range ps {
		if len(snap.dests(&ps[i])) > 0 {
			moved++
		}
	}
	if moved == 0 || !n.waits.claim(state, r.Number) {
		return 0, nil
	}
	from := n.origin(nil, "", lease, ps)
	for i := range ps {
		it := &item{Packet: ps[i], from: from}
		to := snap.dests(&it.Packet)
		if len(to) > 0 {
			n.noteMove(it, waitsIn+string(state), to)
		}
		if err := n.lay(n.pulling, it, to, func(*commit) {}); err != nil {
			for range ps[i:] {
				n.giveUp(it)
			}
			return 0, err
		}
	}
	return moved, nil
}

// claim marks a frame of waiting packets as on its way out; false means that it
// is already.
func (w *waits) claim(state packet.State, number uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.state(state)
	if st.moving[number] || st.moved[number] {
		return false
	}
	st.moving[number] = true
	st.told = false
	return true
}

// unclaim ends that. A frame that is gone cannot be claimed by who has seen it
// before: it would be moved twice.
func (w *waits) unclaim(state packet.State, number uint64, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.state(state)
	delete(st.moving, number)
	if gone {
		st.moved[number] = true
	}
}

// looks begins a look at a state, which no longer sees what is gone. The caller
// holds w.hands, so that nobody else is between look and claim.
func (w *waits) looks(state packet.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.state(state).moved)
}

// A waitingFrame stands for a frame of waiting packets that are being moved: it
// is acknowledged when all of them lie elsewhere.
type waitingFrame struct {
	*store.Resting
	node  *Node
	state packet.State

	// gone, unless nil, is closed when the frame was moved or stays; failed
	// then says why it stays.
	gone   chan struct{}
	failed error
}

func (f *waitingFrame) Data() []byte    { return f.Resting.Data }
func (f *waitingFrame) Number() uint64  { return f.Resting.Number }
func (f *waitingFrame) Deliveries() int { return 1 }

// Ack takes the frame out of the store.
func (f *waitingFrame) Ack() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.node.running), ackTime)
	defer cancel()
	err := f.node.store.Remove(ctx, store.Waiting(f.state), f.Number())
	f.node.waits.unclaim(f.state, f.Number(), err == nil)
	f.settled(err)
	return err
}

// ackTime is the longest that taking a frame out of the store may last.
const ackTime = 10 * time.Second

func (f *waitingFrame) settled(err error) {
	if f.gone != nil {
		f.failed = err
		close(f.gone)
	}
}

var errStays = errors.New("the store could not take the packets elsewhere; they stay where they were")

// Release leaves the frame where it is, to be moved another time.
func (f *waitingFrame) Release(after time.Duration) error {
	w := f.node.waits
	w.unclaim(f.state, f.Number(), false)
	f.settled(errStays)
	f.node.goroutines.Go(func() {
		if pause.For(f.node.pulling, after) {
			w.mu.Lock()
			st := w.state(f.state)
			st.look, st.next = true, min(st.next, f.Number())
			w.mu.Unlock()
			w.wake()
		}
	})
	return nil
}
