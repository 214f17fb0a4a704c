package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// A run is a batch of packets at a worker, and the sink of what it gives. Each slot has one,
// which is made anew for every batch.
type run struct {
	*flow
	host *host
	slot *slot
	room batch // what was taken out of the queue

	caller
	ctx      context.Context
	packets  []packet.Packet
	from     []*unit       // of each packet
	sole     []bool        // whether a packet went to this seed alone
	borrowed bool          // the packet's count is its caller's
	rested   time.Duration // how long the worker had had nothing to do before
	done     int           // packets that had their verdict
	back     int           // the first one that the worker gave back; else how many there are
	emitting int           // the packet that emitted last
	index    uint64        // of the next output of that packet
	id       packet.ID     // of the run of that packet
	kept     keeping
	notes    *record        // what a followed packet's run has begun; nil for nothing
	wishes   []*packet.Wish // before trace changed them, of packets that are traced

	// Of the run in place: its packet, with its origin, and how many there were.
	one     [1]packet.Packet
	oneFrom [1]*unit
	oneSole [1]bool
	placed  uint64

	hop   *packet.Hop   // the newest, for sharing
	hopAt time.Duration // when that is, by the node's clock
	// The newest extra of an output, for sharing, and what it came from.
	heir, heirOf *packet.Extra
	heirSet      packet.Attributes
}

// start begins a run of these packets.
func (r *run) start(ctx context.Context, packets []packet.Packet, from []*unit, sole []bool) {
	r.ctx, r.packets, r.from, r.sole = ctx, packets, from, sole
	r.done, r.back, r.emitting, r.index = 0, len(packets), 0, 0
	r.begin(0)
	if r.cfg.Tracer != nil {
		r.trace()
	}
}

// open starts the worker unless there is one.
func (r *run) open(ctx context.Context) error {
	if r.slot.worker != nil {
		return nil
	}
	w, err := r.host.runner.Open(ctx)
	if err != nil {
		return err
	}
	r.slot.employ(w, r.clock.now())
	return nil
}

// close ends the worker.
func (r *run) close() {
	if w := r.slot.dismiss(); w != nil {
		r.closeWorker(r.host, w)
	}
}

func (f *flow) closeWorker(h *host, w runner.Worker) {
	if err := w.Close(); err != nil {
		f.log.Warn("ending a worker", "seed", h.name, "error", err)
	}
}

// unused tells whether the error is of a worker that ended while it had nothing to
// do, so that another is to be started in its place. One that never stays is as bad
// as one that cannot run.
func (r *run) unused(err error) bool {
	return errors.Is(err, runner.ErrUnused) && r.rested > time.Second
}

// left are the packets of the batch that had no verdict, with a count of their
// own each.
func (r *run) left() []item {
	var left []item
	for i := r.done; i < r.back; i++ {
		left = append(left, r.item(i))
	}
	return left
}

// item is packet i of the batch with a count of its own.
func (r *run) item(i int) item {
	if r.borrowed {
		r.from[i].hold()
	}
	it := item{r.packets[i], r.from[i], r.sole[i]}
	if wish := r.untraced(i); wish != nil {
		it.Wish = wish // what comes of a failed run is no child of it, but its next attempt
	}
	return it
}

// output makes child packet i's next output.
func (r *run) output(child *item, i int, out *packet.Output) (*port, error) {
	port, err := r.host.port(out.State)
	if err != nil {
		return nil, err
	}
	if limit := r.cfg.MaxData; int64(len(out.Data)) > limit {
		return nil, fmt.Errorf("an output of %d bytes; at most %d are allowed (--max-packet)", len(out.Data), limit)
	}
	parent := &r.packets[i]
	if i != r.emitting || r.index == 0 {
		r.emitting, r.index = i, 0
		r.id = r.host.runID(parent)
	}
	// One by one: an assignment of several values goes by way of temporaries.
	child.ID = r.id.Output(r.index)
	child.Ship = parent.Ship
	if parent.Extra != nil || len(out.Attributes) > 0 {
		if child.Extra, err = r.inherit(parent, out.Attributes); err != nil {
			return nil, err
		}
	}
	child.State = port.state
	child.Data = out.Data
	child.DeadLetters = parent.DeadLetters
	child.from = r.from[i]
	child.Blob = out.Blob
	r.index++
	r.slot.out[port.index].Add(1)
	if r.kept.on {
		r.kept.gave(&child.Packet, parent.Wish, r.host.name)
	}
	return port, nil
}

// inherit is the extra of an output of parent that sets these attributes. What
// is given one after the other with the same ones shares it.
func (r *run) inherit(parent *packet.Packet, set packet.Attributes) (*packet.Extra, error) {
	if r.heir == nil || r.heirOf != parent.Extra || !maps.Equal(r.heirSet, set) {
		heir, err := parent.Extra.Inherit(set)
		if err != nil {
			return nil, err
		}
		r.heir, r.heirOf, r.heirSet = heir, parent.Extra, maps.Clone(set)
	}
	return r.heir, nil
}

// hopGrain is how long an injector's packets share one hop: their times are
// that exact.
const hopGrain = time.Millisecond

// trail is that of what the batch gives for p. What is given one after the other shares
// its hop.
func (r *run) trail(p *packet.Packet) *packet.Hop {
	if r.hop == nil || r.hop.Prev != p.Trail || r.hopAt != r.now {
		r.hop, r.hopAt = r.host.extend(p, r.cfg.Name, r.clock.at(r.now)), r.now
	}
	return r.hop
}

// begin is called before packet i of the batch runs. Most are not kept, so it
// has to cost next to nothing.
func (r *run) begin(i int) {
	p := &r.packets[i]
	r.kept.on = p.Wish != nil || r.history.samples(p.Ship.Root)
	if r.kept.on {
		r.kept = keeping{on: true, began: r.clock.now(), away: r.away}
		r.timing = r.timing || r.host.Inline // what it took is kept, its outputs not counted
	}
}

// ran keeps the run of packet i, which is over. The time that takes is none of the
// seed's, whose cost would seem higher than what its other runs take.
func (r *run) ran(i int, err error) {
	now := r.clock.now()
	defer func() { r.away += r.clock.now() - now }()
	began, away := r.now, time.Duration(0)
	if r.kept.on {
		began, away = r.kept.began, r.away-r.kept.away
	}
	p := &r.packets[i]
	over := r.runOf(r.host, p, err)
	over.At, over.Took = r.clock.at(began), max(now-began-away, 0)
	over.Given, over.Out = r.kept.given, r.kept.out
	if r.emitting == i {
		over.Gave = int(r.index)
	}
	if p.Wish != nil {
		over.Stopped = err == nil && p.Wish.Stop == r.host.name
		if p.Wish.Track {
			over.Data = dataOf(p)
		}
	}
	r.kept = keeping{}
	if parent := r.untraced(i); parent != nil {
		r.cfg.Tracer.Ran(parent.Trace, p.Wish.Trace, &over)
	}
	r.keep(&over, p.Wish)
}

// trace gives the packets of the batch that are traced the places of the spans
// of their runs: what they give, and what the seed does elsewhere, belongs below
// those.
func (r *run) trace() {
	r.wishes = r.wishes[:0]
	for i := range r.packets {
		p := &r.packets[i]
		if p.Wish == nil || p.Wish.Trace.IsZero() {
			continue
		}
		for len(r.wishes) < len(r.packets) {
			r.wishes = append(r.wishes, nil)
		}
		own := *p.Wish
		own.Trace = r.cfg.Tracer.Child(own.Trace)
		r.wishes[i], p.Wish = p.Wish, &own
	}
}

// untraced is the wish of packet i as it was before its run; nil if it is not
// traced here.
func (r *run) untraced(i int) *packet.Wish {
	if r.cfg.Tracer == nil || i >= len(r.wishes) {
		return nil
	}
	return r.wishes[i]
}

// writeNotes writes into its ledger what a run of it has begun, and, if done,
// that the run has ended.
func (r *run) writeNotes(it *item, done, filtered bool) {
	if _, ok := followed(&it.Packet); !ok {
		return
	}
	notes := r.notes
	r.notes = nil
	if notes == nil {
		notes = new(record)
	}
	if done {
		notes.end(it.ID, r.host.name)
	}
	if filtered {
		notes.filter(it.ID, r.host.name)
	}
	if _, err := r.note(r.ctx, it, notes); err != nil {
		r.log.Debug("writing a ledger", "error", err)
	}
}
