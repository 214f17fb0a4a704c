package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// A slot is room for one worker of a seed. Whoever holds its lock runs the
// worker; the lock is passed on to the goroutine that pumps.
type slot struct {
	mu        sync.Mutex
	retired   bool
	host      *host
	node      *Node
	worker    runner.Worker // nil until there is work
	idleSince time.Duration // by the node's clock
	room      []packet.Packet
	runs      uint64

	// Of the batch that runs; slot is its sink.
	ctx      context.Context
	batch    []packet.Packet
	done     int           // packets that had their verdict
	emitting int           // the packet that emitted last
	index    uint64        // of the next output of that packet
	now      time.Duration // when the batch began, by the node's clock
	hop      *packet.Hop   // the newest, for sharing
	depth    int           // inline calls around this one
	timing   bool          // away counts every output, not only those that blocked
	away     time.Duration // spent in outputs, not in the seed

	in, out, failed atomic.Uint64
}

// open starts the worker unless there is one.
func (s *slot) open(ctx context.Context) error {
	if s.worker != nil {
		return nil
	}
	w, err := s.host.runner.Open(ctx)
	if err != nil {
		return err
	}
	s.worker, s.idleSince = w, s.node.clock.now()
	return nil
}

func (s *slot) close() {
	if s.worker == nil {
		return
	}
	if err := s.worker.Close(); err != nil {
		s.node.log.Warn("ending a worker of seed "+s.host.name, "error", err)
	}
	s.worker = nil
}

// pump works on the queue until it is empty, then gives the slot back.
func (s *slot) pump() {
	h := s.host
	for {
		most := h.cost.batch(int(h.queue.length.Load()), len(h.slots))
		s.room = h.queue.take(s.room, most)
		if len(s.room) == 0 {
			s.mu.Unlock()
			// A packet that came since found the slot taken.
			if h.queue.length.Load() == 0 || !s.mu.TryLock() {
				return
			}
			if s.retired {
				s.mu.Unlock()
				return
			}
			continue
		}
		s.runBatch()
		clear(s.room)
	}
}

// runBatch runs the packets of s.room.
func (s *slot) runBatch() {
	h := s.host
	batch := s.screen(s.room)
	if len(batch) == 0 {
		return
	}
	if err := s.open(s.node.running); err != nil {
		for i := range batch {
			h.fail(&batch[i], &runner.Fault{Reason: "the seed could not be started: " + err.Error()})
		}
		return
	}
	s.in.Add(uint64(len(batch)))
	s.now = s.node.clock.now()
	s.depth, s.timing, s.away = 0, h.inline, 0
	err := s.run(s.node.running, batch)
	s.idleSince = s.node.clock.now()
	if s.done > 0 {
		h.cost.add(s.idleSince-s.now-s.away, s.done)
	}
	if err != nil {
		s.broken(err)
	}
}

// run gives batch to the worker, with the slot as its sink.
func (s *slot) run(ctx context.Context, batch []packet.Packet) error {
	s.ctx, s.batch = ctx, batch
	s.done, s.emitting, s.index = 0, 0, 0
	return s.worker.Run(ctx, batch, s)
}

// broken replaces a worker that is of no more use. A packet that was alone
// with it is to blame; others are tried again one by one.
func (s *slot) broken(err error) {
	s.close()
	left := s.batch[s.done:]
	switch {
	case len(left) == 0:
		s.node.log.Warn("a worker of seed "+s.host.name+" ended after its work", "error", err)
	case s.node.running.Err() != nil:
		s.node.abandoned.Add(int64(len(left)))
	case len(s.batch) == 1:
		s.host.fail(&left[0], err)
	default:
		s.host.again(left)
	}
}

// screen sorts out the packets whose deadline has passed.
func (s *slot) screen(batch []packet.Packet) []packet.Packet {
	kept := batch[:0]
	for i := range batch {
		p := &batch[i]
		if p.Wish != nil && !p.Wish.Deadline.IsZero() && time.Now().After(p.Wish.Deadline) {
			s.host.giveUp(p, &runner.Fault{Reason: "its deadline " + p.Wish.Deadline.Format(time.RFC3339) + " has passed"})
			continue
		}
		kept = append(kept, *p)
	}
	return kept
}

// runInline runs p right here, on the caller's goroutine, if the seed is cheap
// and has a free slot and an empty queue. The caller's slot is from.
func (h *host) runInline(from *slot, p *packet.Packet) bool {
	if !h.inline || from.depth >= inlineDepth || !h.cost.cheap() || h.queue.length.Load() != 0 || p.Wish != nil {
		return false
	}
	s := h.acquire()
	if s == nil {
		return false
	}
	if s.worker == nil {
		s.mu.Unlock()
		return false
	}
	s.room = append(s.room[:0], *p)
	s.in.Add(1)
	s.now, s.depth = from.now, from.depth+1
	s.runs++
	s.timing, s.away = s.runs%sampleEvery == 0, 0
	var begun time.Duration
	if s.timing {
		begun = h.node.clock.now()
	}
	err := s.run(h.node.running, s.room)
	if s.timing {
		h.cost.add(h.node.clock.now()-begun-s.away, 1)
	}
	if err != nil {
		s.broken(err)
	}
	s.room[0] = packet.Packet{}
	s.mu.Unlock()
	if h.queue.length.Load() > 0 {
		h.kick()
	}
	return true
}

// Emit routes one output of packet i of the batch.
func (s *slot) Emit(i int, state packet.State, data string) error {
	if s.timing {
		begun := s.node.clock.now()
		defer func() { s.away += s.node.clock.now() - begun }()
	}
	if err := s.ctx.Err(); err != nil {
		return err // the node ends: also a seed that asks nobody stops here
	}
	out, err := s.host.port(state)
	if err != nil {
		return err
	}
	if i != s.emitting {
		s.emitting, s.index = i, 0
	}
	parent := &s.batch[i]
	child := packet.Packet{
		ID: parent.ID.Child(s.host.key, s.index), Ship: parent.Ship,
		Container: parent.Container, Fragment: parent.Fragment,
		State: out.state, Data: data, Rounds: parent.Rounds,
	}
	if parent.State == "" { // an injector's run: every output is a root
		child.Ship = packet.Ship{Root: child.ID, Node: s.node.cfg.Name}
		if now := s.node.clock.now(); now-s.now >= hopGrain {
			s.now = now
		}
	}
	s.index++
	s.out.Add(1)
	if parent.Wish != nil {
		return s.emitWished(parent, &child, out)
	}
	s.hop = extend(s.hop, parent, s.host.name, s.node.cfg.Name, s.node.clock.at(s.now))
	child.Trail = s.hop
	return s.node.route(s.ctx, s, &child, out.to)
}

// Done takes the verdict on packet i.
func (s *slot) Done(i int, err error) {
	s.done = i + 1
	if err == nil {
		return
	}
	if errors.Is(err, context.Canceled) && s.ctx.Err() != nil {
		// Not the seed's fault: the node ends.
		if s.batch[i].State != "" {
			s.node.abandoned.Add(1)
		}
		return
	}
	s.host.fail(&s.batch[i], err)
}
