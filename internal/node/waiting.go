package node

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Arrived has the node look at what somebody else has appended to its store:
// a seed may accept what waits there.
func (s *sorter) Arrived() { s.waits.rescan() }

// waitingStored says once that packets wait in a state, and sees to it that they
// do not if a seed has come meanwhile. The frames were just stored.
func (s *sorter) waitingStored(frames []*filling) {
	for _, f := range frames {
		if state, ok := f.lane.queue.State(); ok && len(f.packets) > 0 {
			s.frameWaits(state, &f.packets[0])
		}
	}
}

// frameWaits is waitingStored for one frame, p being one of its packets.
func (s *sorter) frameWaits(state packet.State, p *packet.Packet) {
	snap := s.snap.Load()
	w := s.waits
	w.mu.Lock()
	st := w.state(state)
	st.look = true
	why := snap.whyWaits(p)
	st.why = why
	first := !st.said
	st.said = true
	w.mu.Unlock()
	w.wake()
	if first {
		s.log.Info(fmt.Sprintf("1 packet waits in %s: %s", state, why), "state", state)
	}
}

// moveWaiting moves what waits to the inboxes of the seeds that accept it,
// until the node ends. It stands by as long as the node lives: what is laid
// down by a route that is out of date is moved as well.
func (s *sorter) moveWaiting() {
	for {
		select {
		case <-s.waits.news:
		case <-s.pulling.Done():
			return
		}
		_ = storePauses.Until(s.pulling, s.lookThrough, func(err error) { s.log.Debug("looking through what waits", "error", err) })
	}
}

// lookThrough looks at every state that is to be looked through.
func (s *sorter) lookThrough() error {
	w := s.waits
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
		places, err := s.store.Queues(s.pulling)
		if err != nil {
			w.rescan()
			return err
		}
		w.mu.Lock()
		for _, c := range places {
			if state, ok := c.Queue.State(); ok {
				st := w.state(state)
				st.look, st.next = true, 0
			}
		}
		w.mu.Unlock()
	}
	held, done := context.Context(nil), func() {}
	defer func() { done() }()
	for {
		state, from, ok := s.nextWaiting()
		if !ok {
			return nil
		}
		var err error
		if held == nil {
			held, done, err = s.alone()
		}
		if err == nil {
			err = s.moveState(held, state, from)
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
func (s *sorter) alone() (held context.Context, done func(), err error) {
	shared, ok := s.store.(store.Shared)
	if !ok {
		return s.pulling, func() {}, nil
	}
	held, release, err := shared.Exclusive(s.pulling, movingWaiting)
	if err != nil {
		return nil, func() {}, err
	}
	return held, release, nil
}

// nextWaiting picks a state to look through, from the frame of that number on.
// States that nobody accepts have nothing to look for.
func (s *sorter) nextWaiting() (packet.State, uint64, bool) {
	snap := s.snap.Load()
	w := s.waits
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
func (s *sorter) moveState(ctx context.Context, state packet.State, from uint64) error {
	began, moved := time.Now(), 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, count, err := s.moveSome(state, from)
		moved += count
		if err != nil || next == from {
			if moved > 0 && !s.trouble.Load() { // else it is tried again and again
				s.log.Info(fmt.Sprintf("sent on %s that waited in %s", english.Plural(moved, "packet", ""), state), "took", time.Since(began).Round(time.Millisecond), "state", state)
			}
			return err
		}
		from = next
	}
}

// moveSome looks at some frames from that number on and returns the number
// after them.
func (s *sorter) moveSome(state packet.State, from uint64) (next uint64, moved int, err error) {
	s.hands.Lock()
	defer s.hands.Unlock()
	next = from
	looked := 0
	for f, err := range s.movable(s.pulling, store.Waiting(state), from) {
		if err != nil {
			return next, moved, err
		}
		count, err := s.moveFrame(state, f)
		if err != nil {
			return next, moved, err
		}
		moved += count
		next = f.Number + 1
		s.waits.passed(state, next)
		if looked++; looked == maxFrames {
			break
		}
	}
	return next, moved, nil
}

// moveFrame moves those packets of a frame that are accepted, and stores the
// others anew if there are both. The caller holds w.hands.
func (s *sorter) moveFrame(state packet.State, f *found) (moved int, err error) {
	snap, ps := s.snap.Load(), f.packets
	m := move{flow: s.flow, found: f}
	for i := range ps {
		to := snap.dests(&ps[i])
		if len(to) == 0 {
			m.stay(&ps[i])
			continue
		}
		moved++
		if err := m.noteMove(&ps[i], waitsIn+string(state), to); err != nil {
			return 0, err
		}
		m.put(&ps[i], m.lanesTo(&ps[i], to))
	}
	if moved == 0 {
		return 0, nil
	}
	if err := m.commit(s.pulling); err != nil {
		return 0, err
	}
	s.waits.mu.Lock()
	s.waits.state(state).said = false
	s.waits.mu.Unlock()
	return moved, nil
}
