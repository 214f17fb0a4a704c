package node

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// An item is a packet on its way through this node, with the packet of a leased
// frame that it descends from.
type item struct {
	packet.Packet
	// from is nil for a packet that never lay in a store.
	from *unit
	// sole says that the packet went to no other seed than the one that has it.
	sole bool
}

// An origin is a frame that was leased. Its packets are its units; when all of
// them have ended, what is to be stored of their descendants is stored and the
// frame acknowledged in one transaction, by an [ender]. If one of them had to
// be given up, the frame is released and leased again; by its record of progress
// the others are then left out.
type origin struct {
	lease  store.Lease
	peer   *peer       // in whose store the frame lies; nil is the node's own
	at     store.Queue // the frame's
	sole   bool        // its packets went to no other seed than the one whose inbox it was in
	ender  ender
	units  []unit
	blobs  []packet.Sum // that the frame holds
	before *before      // what an earlier lease of the frame has stored; nil for nothing
	batch  *leasedBatch // of which it is one; nil where the store need not be told of runs

	mu      sync.Mutex
	left    int           // units that have not ended
	done    marks         // units all is stored for
	lost    bool          // a unit was given up
	out     []output      // to be stored
	pending int           // how many of those, and of what is being stored
	bytes   int           // of those
	room    chan struct{} // closed when there are fewer; nil while nobody waits
	waits   bool          // the finisher has been told
	timer   *time.Timer   // will tell it; nil until something is pending
	passed  []packet.Sum  // held for packets that descend from the frame
	records int           // of its progress
	over    bool          // it was acknowledged or released

	untouched atomic.Bool // it is given up before one of its packets has begun
}

// A unit is one packet of a leased frame and its lineage: a count of what
// descends from it and is only in memory.
//
// Invariant: every item with this unit that is in a queue, in a slot, in a commit
// or delayed holds one count. An item that is run inline borrows that of the item
// whose run gave it.
type unit struct {
	frame *origin
	live  atomic.Int32
	lost  atomic.Bool
	index int32
}

// An output is a packet that is to be stored.
type output struct {
	unit   int
	lane   lane
	packet packet.Packet
	size   int
	after  time.Duration
	own    packet.Sum // large data that was put for it, and is held until it is stored
}

// The bounds of what may be pending of one frame: beyond them it is stored before
// its units have ended, and who gives more waits.
const (
	maxPending      = 1024
	maxPendingBytes = 4 << 20
	// linger is how long outputs wait for the rest of their frame, so that all
	// of it is one transaction.
	linger = 5 * time.Millisecond
)

// into is the peer in whose store it is kept when it has to be stored; nil is the
// node's own. What came from a store that is safer than the own one goes back
// there, so that its frame can be acknowledged.
func (it *item) into() *peer {
	if it.from == nil {
		return nil
	}
	return it.from.frame.into()
}

func (o *origin) into() *peer {
	if o.peer == nil || !o.peer.safer {
		return nil
	}
	return o.peer
}

// An ender ends frames.
type ender interface {
	// look has it look at a frame: all of it has ended, or something is to be stored.
	look(*origin)
	// lingered is look for a frame whose outputs have waited long enough.
	lingered(*origin)
	// apart puts an output's data beside the frame if it is too large for one. By value:
	// what a pointer in such a call leads to would be allocated.
	apart(output) (output, error)
	// drop lets go of large data.
	drop([]packet.Sum)
}

// newOrigin is the lineage of a frame that was pulled from a peer's store, or, if
// that is nil, from the own one.
func newOrigin(from *peer, at store.Queue, lease store.Lease, ps []packet.Packet) *origin {
	o := &origin{peer: from, lease: lease, at: at, left: len(ps), units: make([]unit, len(ps)), blobs: blobsOf(ps)}
	for i := range o.units {
		u := &o.units[i]
		u.frame, u.index = o, int32(i) //nolint:gosec // at most 256
		u.live.Store(1)
	}
	return o
}

// ref names the frame.
func (o *origin) ref() store.Ref { return store.Ref{At: o.at, Number: o.lease.Number()} }

// has tells whether an earlier lease of the unit's frame has stored the packet in
// that queue.
func (u *unit) has(in store.Queue, p *packet.Packet) bool {
	return u != nil && u.frame.before != nil && u.frame.before.stored[copyOf{p.ID, in, p.State}]
}

// anew tells whether nothing of the unit's frame was stored before.
func (u *unit) anew() bool { return u == nil || u.frame.before == nil }

// begun tells whether an earlier lease of the frame has brought its packet i to
// its end, or stored it to be tried again.
func (o *origin) begun(i int, p *packet.Packet) bool {
	return o.before != nil && (o.before.done.has(i) || o.units[i].has(o.at, p))
}

// A leasedBatch are frames that were pulled together, of those that were delivered
// before.
type leasedBatch struct {
	told   atomic.Bool
	leases []store.Lease
}

// hold counts one more item. The caller holds a count already. A nil unit counts
// nothing.
func (u *unit) hold() {
	if u != nil {
		u.live.Add(1)
	}
}

// end takes n items off the count.
func (u *unit) end(n int) {
	if u == nil || u.live.Add(int32(-n)) > 0 { //nolint:gosec // few
		return
	}
	u.frame.ended(u)
}

// ended takes the end of a unit.
func (o *origin) ended(u *unit) {
	o.mu.Lock()
	if u.lost.Load() {
		o.lost = true
		o.out = slices.DeleteFunc(o.out, func(out output) bool {
			if out.unit == int(u.index) {
				o.settled(&out)
				return true
			}
			return false
		})
	} else {
		o.done.set(int(u.index))
	}
	o.left--
	last := o.left == 0
	if last && o.timer != nil {
		o.timer.Stop()
	}
	o.mu.Unlock()
	if last {
		o.ender.look(o)
	}
}

// forget drops outputs that are not to be stored after all. The caller holds
// o.mu.
func (o *origin) forget(outs []output) {
	for i := range outs {
		o.settled(&outs[i])
	}
}

// settled takes an output off what is pending. The caller holds o.mu.
func (o *origin) settled(out *output) {
	o.pending--
	o.bytes -= out.size
	if out.own != (packet.Sum{}) {
		o.ender.drop([]packet.Sum{out.own})
	}
	if o.room != nil && o.roomy() {
		close(o.room)
		o.room = nil
	}
}

func (o *origin) roomy() bool { return o.pending < maxPending && o.bytes < maxPendingBytes }

// store has a packet that descends from the unit stored, with all else of the
// unit: it takes over the item's count, unless it fails. It blocks while too
// much of the frame is pending.
func (u *unit) store(ctx context.Context, it *item, l lane, after time.Duration) error {
	o := u.frame
	if err := ctx.Err(); err != nil {
		return err // the node ends, and knows no routes any more
	}
	if u.has(l.queue, &it.Packet) {
		u.end(1)
		return nil
	}
	out := output{unit: int(u.index), lane: l, packet: it.Packet, after: after}
	if len(out.packet.Data) > store.MaxInline || out.packet.Blob != nil {
		var err error
		if out, err = o.ender.apart(out); err != nil {
			return err
		}
	}
	if out.size = storedSize(&out.packet); out.size > store.MaxFrame-maxFrameHead {
		return tooLong(&out.packet, out.size)
	}
	if err := o.awaitRoom(ctx); err != nil {
		if out.own != (packet.Sum{}) {
			o.ender.drop([]packet.Sum{out.own})
		}
		return err
	}
	o.mu.Lock()
	o.out = append(o.out, out)
	o.pending++
	o.bytes += out.size
	full := !o.roomy()
	if o.timer == nil {
		o.timer = time.AfterFunc(linger, func() { o.ender.lingered(o) })
	} else if !o.waits && o.pending == 1 {
		o.timer.Reset(linger)
	}
	o.mu.Unlock()
	if full {
		o.ender.look(o)
	}
	u.end(1)
	return nil
}

// awaitRoom waits while too much of the frame is pending.
func (o *origin) awaitRoom(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.roomy() {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		o.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// keep makes the origin hold a blob that was put for a packet which descends
// from it.
func (o *origin) keep(sum packet.Sum) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.passed = append(o.passed, sum)
}
