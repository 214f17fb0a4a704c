package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	// sole says that the packet went to no other seed than the one whose queue
	// it is in. It is not known any more once the packet has run.
	sole bool
}

// An origin is a frame that was leased. Its packets are its units; when all of
// them have ended, what is to be stored of their descendants is stored and the
// frame acknowledged in one transaction, by the [finisher]. If one of them had to
// be given up, the frame is released and leased again; by its record of progress
// the others are then left out.
type origin struct {
	node     *Node
	lease    store.Lease
	peer     *peer       // in whose store the frame lies; nil is the node's own
	at       store.Queue // the frame's
	sole     bool        // its packets went to no other seed than the one whose inbox it was in
	finisher *finisher
	units    []unit
	blobs    []packet.Sum // that the frame holds
	before   *before      // what an earlier lease of the frame has stored; nil for nothing
	batch    *leasedBatch // of which it is one; nil where the store need not be told of runs

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

// releaseDelay is how long a frame that had to be given up is not leased.
const releaseDelay = time.Second

// origin is the lineage of a frame that was pulled from a peer's store, or, if
// that is nil, from the own one.
func (n *Node) origin(from *peer, at store.Queue, lease store.Lease, ps []packet.Packet) *origin {
	o := &origin{node: n, peer: from, lease: lease, at: at, left: len(ps), units: make([]unit, len(ps))}
	for i := range o.units {
		u := &o.units[i]
		u.frame, u.index = o, int32(i) //nolint:gosec // at most 256
		u.live.Store(1)
	}
	o.blobs = blobsOf(ps)
	o.finisher = n.finisher(o)
	return o
}

// A beginner is a store that counts the deaths of processes which had begun to
// work on a frame, so that what was only pulled ahead is not blamed for them.
type beginner interface {
	Begin(ctx context.Context, leases []store.Lease) error
}

// A leasedBatch are frames that were pulled together, of those that were delivered
// before.
type leasedBatch struct {
	told   atomic.Bool
	leases []store.Lease
}

// deliveredBefore are those frames of a pull from the own store that were delivered
// before; nil for none.
func deliveredBefore(pulled []store.Lease) *leasedBatch {
	var b *leasedBatch
	for _, l := range pulled {
		if l.Deliveries() > 1 {
			if b == nil {
				b = &leasedBatch{}
			}
			b.leases = append(b.leases, l)
		}
	}
	return b
}

// begin tells the store that runs of packets with these units begin. It takes the
// rest of their pulls for begun as well, which are due within milliseconds, so that
// one fsync does for all.
func (n *Node) begin(from []*unit) {
	var leases []store.Lease
	for _, u := range from {
		if u != nil && u.frame.batch != nil && !u.frame.batch.told.Swap(true) {
			leases = append(leases, u.frame.batch.leases...)
		}
	}
	if len(leases) == 0 {
		return
	}
	if s, ok := n.store.(beginner); ok {
		if err := s.Begin(n.running, leases); err != nil {
			n.log.Debug("noting that frames which were delivered before run again", "error", err)
		}
	}
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
		o.finisher.tell(o)
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
		o.node.drop([]packet.Sum{out.own})
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
	if err := o.node.setApartOne(&out); err != nil {
		return err
	}
	if out.size = storedSize(&out.packet); out.size > store.MaxFrame-maxFrameHead {
		return tooLong(&out.packet, out.size)
	}
	if err := o.awaitRoom(ctx); err != nil {
		if out.own != (packet.Sum{}) {
			o.node.drop([]packet.Sum{out.own})
		}
		return err
	}
	o.mu.Lock()
	o.out = append(o.out, out)
	o.pending++
	o.bytes += out.size
	full := !o.roomy()
	if o.timer == nil {
		o.timer = time.AfterFunc(linger, o.lingered)
	} else if !o.waits && o.pending == 1 {
		o.timer.Reset(linger)
	}
	o.mu.Unlock()
	if full {
		o.finisher.tell(o)
	}
	u.end(1)
	return nil
}

// lingered has the finisher look at a frame of which something is pending. A node
// that ends does not need it: all units end.
func (o *origin) lingered() {
	o.node.entering.Add(1) // it may start a goroutine
	defer o.node.entering.Add(-1)
	if o.node.running.Err() == nil {
		o.finisher.tell(o)
	}
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

// A delivery names a frame that this node gave back.
type delivery struct {
	from   *peer // nil is the own store
	at     store.Queue
	number uint64
}

// giveBack ends a lease without a verdict on its frame, and notes that: the
// next delivery comes of this, not of a node's death.
func (n *Node) giveBack(from *peer, at store.Queue, lease store.Lease, after time.Duration) error {
	n.noteReturn(from, at, lease)
	return lease.Release(after)
}

// noteReturn notes that a frame comes again, and not because of a node's death.
func (n *Node) noteReturn(from *peer, at store.Queue, lease store.Lease) {
	count, _ := n.givenBack.LoadOrStore(delivery{from, at, lease.Number()}, new(atomic.Int64))
	count.(*atomic.Int64).Add(1)
}

// deaths is how many deliveries of a frame in the own store, this one apart, have
// ended without a verdict although nobody gave it back. A peer counts for itself.
func (n *Node) deaths(at store.Queue, lease store.Lease) int {
	back := 0
	if count, ok := n.givenBack.Load(delivery{nil, at, lease.Number()}); ok {
		back = int(count.(*atomic.Int64).Load())
	}
	return max(lease.Deliveries()-1-back, 0)
}

// abandon takes one item off the count that got nowhere: the frame is to run
// again. What has no frame to run again is counted as abandoned.
func (n *Node) abandon(it *item) {
	if it.from == nil {
		n.abandoned.Add(1)
		return
	}
	it.from.lost.Store(true)
	it.from.end(1)
}

// setApartOne puts the output's data beside the frame if it is too large for one.
func (n *Node) setApartOne(out *output) error {
	p := &out.packet
	if len(p.Data) <= store.MaxInline {
		if p.Blob != nil {
			n.holdLeft()
		}
		return nil
	}
	b, err := n.putData(p)
	if err != nil {
		return err
	}
	out.own, p.Blob, p.Data = b.Sum, &b, ""
	n.holdLeft()
	return nil
}

// putData stores the data of a packet as large data, held once.
func (n *Node) putData(p *packet.Packet) (packet.Blob, error) {
	if n.blobs == nil {
		return packet.Blob{}, fmt.Errorf("packet %s has %d bytes of data, more than a frame takes, and the node has no place for large data", p.ID, len(p.Data))
	}
	return n.blobs.Put(n.running, strings.NewReader(p.Data), n.cfg.MaxData)
}
