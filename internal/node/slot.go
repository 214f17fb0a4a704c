package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	rested    time.Duration // how long the worker had had nothing to do before the batch
	room      batch
	one       [1]packet.Packet // of an inline run, with its origin
	oneFrom   [1]*unit
	runs      uint64
	// busy is since when the batch runs, by the node's clock; 0 while none does.
	busy atomic.Int64

	// Of the batch that runs; slot is its sink.
	ctx      context.Context
	batch    []packet.Packet
	from     []*unit       // of each packet of the batch
	back     int           // the first one that the worker gave back; else how many there are
	borrowed bool          // the packet's count is its caller's
	done     int           // packets that had their verdict
	emitting int           // the packet that emitted last
	index    uint64        // of the next output of that packet
	runID    packet.ID     // of the run that gives it
	now      time.Duration // when the batch began, by the node's clock
	hop      *packet.Hop   // the newest, for sharing
	hopAt    time.Duration // when that is, by the node's clock
	depth    int           // inline calls around this one
	notes    *record       // what a followed packet's run has begun; nil for nothing
	timing   bool          // away counts every output, not only those that blocked
	away     time.Duration // spent in outputs, not in the seed
	kept     keeping
	wishes   []*packet.Wish // before trace changed them, of packets that are traced

	// The newest extra of an output, for sharing, and what it came from.
	heir, heirOf *packet.Extra
	heirSet      packet.Attributes

	// in and out count by state, in the order of the contract: at least one each,
	// so that an injector's runs and an extractor's nothing have a place.
	in, out []atomic.Uint64
	failed  atomic.Uint64
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
		h.queue.take(&s.room, most)
		if len(s.room.packets) == 0 {
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
		s.room.reset()
	}
}

// runBatch runs the packets of s.room.
func (s *slot) runBatch() {
	h := s.host
	s.screen()
	batch := s.room.packets
	if len(batch) == 0 {
		return
	}
	if err := s.open(s.node.pulling); err != nil {
		s.node.unload(h, err, s.room.items())
		return
	}
	s.node.begin(s.room.from)
	s.now = s.node.clock.now() // reading large data is work as well
	s.rested = s.now - s.idleSince
	if !h.byPath && !s.load() {
		return
	}
	batch = s.room.packets // those whose data could not be read have left it
	s.countIn(batch[:1])
	s.depth, s.timing, s.away, s.borrowed = 0, h.inline, 0, false
	s.busy.Store(int64(s.now))
	s.node.watch.wake()
	err := s.run(s.node.running, batch, s.room.from)
	s.busy.Store(0)
	s.countIn(batch[1:max(s.back, 1)])
	s.idleSince = s.node.clock.now()
	if s.done > 0 {
		h.cost.add(s.idleSince-s.now-s.away, s.done, dataSize(batch[:s.done]))
	}
	if err != nil {
		s.broken(err)
	}
}

// run gives batch to the worker, with the slot as its sink.
func (s *slot) run(ctx context.Context, batch []packet.Packet, from []*unit) error {
	s.ctx, s.batch, s.from = ctx, batch, from
	s.done, s.back, s.emitting, s.index = 0, len(batch), 0, 0
	s.begin(0)
	if s.node.cfg.Tracer != nil {
		s.trace()
	}
	return s.worker.Run(ctx, batch, s)
}

// broken replaces a worker that is of no more use. A packet that was alone
// with it is to blame; others are tried again one by one.
func (s *slot) broken(err error) {
	s.close()
	left := s.left()
	if len(left) > 0 {
		s.writeNotes(&left[0], false)
	}
	switch {
	case len(left) == 0:
		s.node.log.Warn("a worker of seed "+s.host.name+" ended after its work", "error", err)
	case s.node.running.Err() != nil:
		for i := range left {
			s.node.abandon(&left[i])
		}
	case s.unused(err):
		s.node.log.Warn("a worker of seed "+s.host.name+" is replaced", "error", err)
		s.host.again(left)
	case len(s.batch) == 1:
		s.ran(0, err)
		s.host.fail(&left[0], err)
	default:
		s.host.again(left)
	}
}

// Back takes back packet i of the batch and those after it, which its worker has not
// begun: another may be free.
func (s *slot) Back(i int) {
	s.node.entering.Add(1) // it may start a goroutine
	defer s.node.entering.Add(-1)
	its := make([]item, 0, len(s.batch)-i)
	for k := i; k < len(s.batch); k++ {
		its = append(its, s.item(k))
	}
	s.back = i
	s.host.giveBack(its)
}

// unused tells whether the error is of a worker that ended while it had nothing to
// do, so that another is to be started in its place. One that never stays is as bad
// as one that cannot run.
func (s *slot) unused(err error) bool {
	return errors.Is(err, runner.ErrUnused) && s.rested > time.Second
}

// left are the packets of the batch that had no verdict, with a count of their
// own each.
func (s *slot) left() []item {
	var left []item
	for i := s.done; i < s.back; i++ {
		left = append(left, s.item(i))
	}
	return left
}

// item is packet i of the batch with a count of its own.
func (s *slot) item(i int) item {
	if s.borrowed {
		s.from[i].hold()
	}
	it := item{Packet: s.batch[i], from: s.from[i]}
	if wish := s.untraced(i); wish != nil {
		it.Wish = wish // what comes of a failed run is no child of it, but its next attempt
	}
	return it
}

// screen sorts out the packets that others may have by now, those whose deadline has
// passed, and those that the seed no longer takes: its contract was another when they were put into its inbox.
func (s *slot) screen() {
	b := &s.room
	kept := 0
	var asked *origin // whether its lease is doubtful
	doubt := false
	for i := range b.packets {
		p := &b.packets[i]
		if from := b.from[i]; from != nil && from.frame.peer != nil {
			if from.frame != asked {
				asked, doubt = from.frame, from.frame.doubtful(s.host)
			}
			if doubt {
				s.node.abandon(&item{Packet: *p, from: from})
				continue
			}
		}
		if p.Wish != nil && !p.Wish.Deadline.IsZero() && time.Now().After(p.Wish.Deadline) {
			s.host.deadLetter(&item{Packet: *p, from: b.from[i]}, &runner.Fault{Reason: "its deadline " + p.Wish.Deadline.Format(time.RFC3339) + " has passed"})
			continue
		}
		if !s.host.manifest.Contract.Takes(p.State) {
			s.node.reroute(&item{Packet: *p, from: b.from[i]}, s.host)
			continue
		}
		if kept < i {
			b.packets[kept], b.from[kept] = *p, b.from[i]
		}
		kept++
	}
	b.packets, b.from = b.packets[:kept], b.from[:kept]
}

// runInline runs it right here, on the caller's goroutine, if the seed is cheap
// and has a free slot and an empty queue. The caller's slot is from; the item's
// count stays the caller's.
func (h *host) runInline(from *slot, it *item) bool {
	if !h.inline || from.depth >= inlineDepth || !h.cost.cheap() || h.queue.length.Load() != 0 || it.Wish != nil {
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
	s.one[0], s.oneFrom[0] = it.Packet, it.from
	s.countIn(s.one[:])
	s.now, s.depth, s.borrowed = from.now, from.depth+1, true
	s.runs++
	measured := s.runs%sampleEvery == 0
	s.timing, s.away = measured, 0
	var begun time.Duration
	if measured {
		begun = h.node.clock.now()
	}
	err := s.run(h.node.running, s.one[:], s.oneFrom[:])
	if measured {
		h.cost.add(h.node.clock.now()-begun-s.away, 1, it.DataSize())
	}
	if err != nil {
		s.broken(err)
	}
	s.one[0].Data, s.oneFrom[0] = "", nil
	s.mu.Unlock()
	if h.queue.length.Load() > 0 {
		h.kick()
	}
	return true
}

// Emit routes one output of packet i of the batch.
func (s *slot) Emit(i int, out packet.Output) error {
	if s.timing {
		begun := s.node.clock.now()
		defer func() { s.away += s.node.clock.now() - begun }()
	}
	if err := s.ctx.Err(); err != nil {
		return err // the node ends: also a seed that asks nobody stops here
	}
	if out.Blob != nil {
		if err := s.takeBlob(i, &out); err != nil {
			return err
		}
	}
	var child item
	port, err := s.output(&child, i, &out)
	if err != nil {
		return err
	}
	parent := &s.batch[i]
	if parent.Wish != nil {
		return s.emitWished(parent, &child, port)
	}
	child.Trail = s.trail(parent)
	return s.pass(&child, port.to)
}

// takeBlob takes over the hold on the blob of an output of packet i: the
// packet's frame holds it, or, without a store on the way, its data is read into
// memory.
func (s *slot) takeBlob(i int, out *packet.Output) (err error) {
	if s.from[i] != nil {
		s.from[i].frame.keep(out.Blob.Sum)
		return nil
	}
	b := *out.Blob
	out.Blob = nil
	defer s.node.drop([]packet.Sum{b.Sum})
	out.Data, err = s.node.read(b)
	return err
}

// output makes child packet i's next output.
func (s *slot) output(child *item, i int, out *packet.Output) (*port, error) {
	port, err := s.host.port(out.State)
	if err != nil {
		return nil, err
	}
	if limit := s.node.cfg.MaxData; int64(len(out.Data)) > limit {
		return nil, fmt.Errorf("an output of %d bytes; at most %d are allowed (--max-packet)", len(out.Data), limit)
	}
	parent := &s.batch[i]
	if i != s.emitting || s.index == 0 {
		s.emitting, s.index = i, 0
		s.runID = s.host.runID(parent)
	}
	// One by one: an assignment of several values goes by way of temporaries.
	child.ID = s.runID.Output(s.index)
	child.Ship = parent.Ship
	if parent.Extra != nil || len(out.Attributes) > 0 {
		if child.Extra, err = s.inherit(parent, out.Attributes); err != nil {
			return nil, err
		}
	}
	child.State = port.state
	child.Data = out.Data
	child.DeadLetters = parent.DeadLetters
	child.from = s.from[i]
	child.Blob = out.Blob
	s.index++
	s.out[port.index].Add(1)
	if s.kept.on {
		s.gave(child)
	}
	return port, nil
}

// inherit is the extra of an output of parent that sets these attributes. What
// is given one after the other with the same ones shares it.
func (s *slot) inherit(parent *packet.Packet, set packet.Attributes) (*packet.Extra, error) {
	if s.heir == nil || s.heirOf != parent.Extra || !maps.Equal(s.heirSet, set) {
		heir, err := parent.Extra.Inherit(set)
		if err != nil {
			return nil, err
		}
		s.heir, s.heirOf, s.heirSet = heir, parent.Extra, maps.Clone(set)
	}
	return s.heir, nil
}

// pass sends an output on. A count of its own it needs only where it outlives
// this call.
func (s *slot) pass(child *item, to []dest) error {
	if child.from == nil {
		return s.node.route(s.ctx, s, child, to)
	}
	if len(to) == 1 && to[0].host != nil && child.from.anew() && to[0].host.runInline(s, child) {
		return nil
	}
	child.from.hold()
	var err error
	if s.long() {
		_, err = s.node.storePacket(s.ctx, child, to)
	} else {
		err = s.node.route(s.ctx, s, child, to)
	}
	switch {
	case errors.Is(err, ErrTooLong):
		child.from.end(1) // the run fails
	case err != nil:
		s.node.abandon(child)
	}
	return err
}

// longRun is a run whose outputs are stored before it goes on, so that a later
// crash does not repeat it.
const longRun = 50 * time.Millisecond

func (s *slot) long() bool {
	return s.host.cost.get() >= longRun || s.node.clock.now()-s.now >= longRun
}

// Done takes the verdict on packet i.
func (s *slot) Done(i int, err error) {
	if (s.kept.on || err != nil) && (err == nil || s.ctx.Err() == nil) {
		s.ran(i, err)
	}
	s.verdict(i, err)
	if s.done < len(s.batch) { // it may be given back, and then nobody asks what began
		s.begin(s.done)
	}
}

func (s *slot) verdict(i int, err error) {
	s.done = i + 1
	if err == nil {
		if s.batch[i].Wish != nil {
			s.writeNotes(&item{Packet: s.batch[i], from: s.from[i]}, true)
		}
		if !s.borrowed {
			s.from[i].end(1)
		}
		return
	}
	it := s.item(i)
	s.writeNotes(&it, false)
	if errors.Is(err, context.Canceled) && s.ctx.Err() != nil {
		s.node.abandon(&it) // not the seed's fault: the node ends
		return
	}
	s.host.fail(&it, err)
}

// Flush has nothing to wait for: what descends from a frame is as safe as that
// is.
func (s *slot) Flush() error { return nil }
