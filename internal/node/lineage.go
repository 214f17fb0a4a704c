package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// An item is a packet on its way through this node, with the frame that it
// descends from.
type item struct {
	packet.Packet
	// from is nil for a packet that never lay in a store.
	from *origin
	// sole says that the packet went to no other seed than the one whose queue
	// it is in. It is not known any more once the packet has run.
	sole bool
}

// An origin is a frame that was pulled from the store, and its lineage: a count
// of what descends from it and is only in memory. When that has ended or lies
// in the store, the frame is acknowledged; if one of them had to be given up,
// the frame is released and runs again.
//
// Invariant: every item with this origin that is in a queue, in a slot, in a
// commit or delayed holds one count. An item that is run inline borrows that
// of the item whose run gave it.
type origin struct {
	lease store.Lease
	peer  *peer       // in whose store the frame lies; nil is the node's own
	at    store.Place // "" for what waits
	live  atomic.Int64
	lost  atomic.Bool
	node  *Node
	blobs []packet.Sum // that the frame holds
	sole  bool         // its packets went to no other seed than the one whose inbox it was in
	done  []bool       // see progress; nil unless there are singles

	// Of a single, which has no lease: the frame's and its index there.
	parent *origin
	index  int

	mu     sync.Mutex
	passed []packet.Sum // held for packets that descend from it
}

// into is the peer in whose store it is kept when it has to be stored; nil is the
// node's own. What came from a store that is safer than the own one goes back
// there, so that its frame can be acknowledged.
func (it *item) into() *peer {
	if it.from == nil || it.from.peer == nil || !it.from.peer.safer {
		return nil
	}
	return it.from.peer
}

// giveUpDelay is how long a frame rests that had to be given up.
const giveUpDelay = time.Second

// hold counts one more item. The caller holds a count already. A nil origin
// counts nothing.
func (o *origin) hold() {
	if o != nil {
		o.live.Add(1)
	}
}

// end takes n items off the count.
func (o *origin) end(n int) {
	if o == nil || o.live.Add(int64(-n)) > 0 {
		return
	}
	if o.parent != nil {
		o.node.drop(o.passed)
		o.parent.ended(o.index, o.lost.Load())
		return
	}
	var err error
	if o.lost.Load() {
		err = o.node.giveBack(o.peer, o.at, o.lease, giveUpDelay)
	} else {
		o.node.givenBack.Delete(delivery{o.peer, o.at, o.lease.Number()})
		if err = o.lease.Ack(); err == nil && o.peer == nil {
			o.node.dropLater(o.blobs)
		}
	}
	if o.peer != nil { // they are copies: those beside the frame are the peer's
		o.node.drop(o.blobs)
	}
	o.node.drop(o.passed)
	if err != nil { // the frame comes again, which does no harm
		o.node.log.Debug("ending a frame", "error", err)
	}
}

// A delivery names a frame that this node gave back.
type delivery struct {
	from   *peer // nil is the own store
	at     store.Place
	number uint64
}

// A progress is what a node remembers of a frame that it gave back. It belongs
// to who holds the frame's lease.
type progress struct {
	count int    // how often it was given back
	done  []bool // packets that all is done for; nil while none can be
}

// giveBack ends a lease without a verdict on its frame, and notes that: the
// next delivery comes of this, not of a node's death.
func (n *Node) giveBack(from *peer, at store.Place, lease store.Lease, after time.Duration) error {
	n.progress(from, at, lease).count++
	return lease.Release(after)
}

func (n *Node) progress(from *peer, at store.Place, lease store.Lease) *progress {
	p, _ := n.givenBack.LoadOrStore(delivery{from, at, lease.Number()}, &progress{})
	return p.(*progress)
}

// deaths is how many deliveries of a frame in the own store, this one apart, have
// ended without a verdict although nobody gave it back. A peer counts for itself.
func (n *Node) deaths(at store.Place, lease store.Lease, waited bool) int {
	back := 0
	if p, ok := n.givenBack.Load(delivery{nil, at, lease.Number()}); ok {
		back = p.(*progress).count
	} else if waited {
		back = 1 // by the node before this one, to wait
	}
	return max(lease.Deliveries()-1-back, 0)
}

// single is the lineage of one packet of the frame apart from the others. What
// came to a good end is not run again when the frame was given back for
// another: in a store that is full to the brim, where much is given up, a frame
// of many packets would never have all of them end at once.
func (o *origin) single(i int) *origin {
	single := &origin{node: o.node, peer: o.peer, parent: o, index: i, sole: o.sole}
	single.live.Store(1)
	return single
}

// ended takes the end of the single i.
func (o *origin) ended(i int, lost bool) {
	if lost {
		o.lost.Store(true)
	} else {
		o.done[i] = true
	}
	o.end(1)
}

// giveUp takes one item off the count that got nowhere: the frame is to run
// again. What has no frame to run again is counted as abandoned.
func (n *Node) giveUp(it *item) {
	if it.from == nil {
		n.abandoned.Add(1)
		return
	}
	it.from.lost.Store(true)
	it.from.end(1)
}
