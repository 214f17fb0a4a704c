package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

const (
	// maxFrames is how many frames are pulled at a time.
	maxFrames = 16
	// pulledTime is how much work is pulled ahead for each worker.
	pulledTime = 2 * batchTime
	// longFrame is a frame that is stored again as single packets.
	longFrame = time.Second
	// After splitAfter deliveries without a verdict a frame is stored again
	// as single packets, and after maxDeliveries a packet is a failure: it
	// may be what ends the nodes that run it.
	splitAfter    = 3
	maxDeliveries = 10
	// suspectDelay is how long a node has to run before it runs such a frame,
	// doubled with each delivery more. So a node that ends again and again does
	// other work before, and one that is only ended early, by somebody else, has
	// not begun with the frame.
	suspectDelay    = 250 * time.Millisecond
	maxSuspectDelay = 10 * time.Second
)

// tooEarly is how much longer the node has to run before it runs a frame of the
// own store with so many deliveries.
func (n *Node) tooEarly(deliveries int) time.Duration {
	if deliveries < splitAfter || deliveries >= maxDeliveries {
		return 0
	}
	return min(suspectDelay<<(deliveries-splitAfter), maxSuspectDelay) - n.clock.now()
}

// pulls are those of one seed, from the node's own store (nil) and those of its
// peers. It is guarded by the node's change lock, but for end.
type pulls struct {
	mu    sync.Mutex
	over  bool
	stops map[*peer]context.CancelFunc
}

// begin has run pull until ctx ends, unless it does already.
func (p *pulls) begin(ctx context.Context, from *peer, run func(context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.stops[from] != nil {
		return
	}
	if p.stops == nil {
		p.stops = map[*peer]context.CancelFunc{}
	}
	ctx, stop := context.WithCancel(ctx)
	p.stops[from] = stop
	run(ctx)
}

// without ends those from other peers than these.
func (p *pulls) without(peers []*peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for from, stop := range p.stops {
		if from != nil && !slices.Contains(peers, from) {
			stop()
			delete(p.stops, from)
		}
	}
}

// rest ends all of them, until they begin anew.
func (p *pulls) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, stop := range p.stops {
		stop()
	}
	clear(p.stops)
}

// end ends all of them for good.
func (p *pulls) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, stop := range p.stops {
		stop()
	}
	p.stops = nil
}

// startPull brings what comes to h's inbox, in the own store and in those of the
// peers, to its queue from now on. The caller holds n.change.
func (n *Node) startPull(h *host, peers []*peer) {
	if !n.begun || h.manifest.Contract.Injector() || h.held() {
		return
	}
	if n.injecting.Err() != nil {
		peers = nil // the node leaves: what lies with others is safe there
	}
	h.pulls.without(peers)
	h.pulls.begin(n.pulling, nil, func(ctx context.Context) {
		n.goroutines.Go(func() { h.pull(ctx, nil, n.store.Pull, whole) })
	})
	for _, from := range peers {
		if from.store != nil {
			h.pulls.begin(n.pulling, from, func(ctx context.Context) {
				n.goroutines.Go(func() { h.pull(ctx, from, from.store.Pull, whole) })
				// What comes there while the answer of one pull is on its way here has
				// another that waits for it.
				n.goroutines.Go(func() { h.pull(ctx, from, from.store.Pull, h.second) })
			})
		}
	}
}

// whole is the share of the only pull from a store, or the first.
func whole(ahead int) int { return ahead }

// second is the share of the second pull from a store. A slow seed has none: what its
// workers cannot begin soon is for other nodes.
func (h *host) second(ahead int) int {
	if ahead <= 2*len(h.slots) {
		return 0
	}
	return ahead / 2
}

// pull leases frames from a store, the own one or a peer's, as long as ctx says.
// share is how many of the packets that may lie pulled are for this pull.
func (h *host) pull(ctx context.Context, from *peer, take func(context.Context, store.Queue, int) ([]store.Lease, error), share func(int) int) {
	n, inbox := h.node, h.inbox
	for wait := minPause; ctx.Err() == nil; {
		room, hungry, err := h.queue.awaitPull(ctx, h.ahead, share)
		if err != nil {
			return // the seed is gone, or the node ends
		}
		most := min(max(room/h.cost.frame(), 1), maxFrames)
		var leases []store.Lease
		if from == nil {
			h.gate.shut()
			leases, err = take(ctx, inbox, most)
			h.gate.open()
		} else {
			leases, err = takeWhile(ctx, hungry, take, inbox, most)
		}
		n.moving.Add(1)
		var before *leasedBatch
		if from == nil {
			before = deliveredBefore(leases)
		}
		for _, lease := range leases {
			h.open(from, inbox, lease, before)
		}
		n.moving.Add(-1)
		switch {
		case err == nil:
			wait = minPause
			continue
		case ctx.Err() != nil, errors.Is(err, mesh.ErrGone):
			return
		case from == nil:
			n.storeTrouble(err)
		default:
			n.log.Debug("pulling from a peer", "node", from.name, "error", err)
		}
		if !pause.For(ctx, wait) {
			return
		}
		wait = min(2*wait, maxPause)
	}
}

// takeWhile takes from a peer as long as there is room for what comes: another
// store may have filled it, and then some other node shall have the frames. That
// is no error.
func takeWhile(ctx, hungry context.Context, take func(context.Context, store.Queue, int) ([]store.Lease, error), inbox store.Queue, most int) ([]store.Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(hungry, cancel)()
	leases, err := take(ctx, inbox, most)
	if err != nil && hungry.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return leases, err
}

// ahead is how many packets may lie pulled.
func (h *host) ahead() int {
	workers := len(h.slots)
	known := h.cost.get()
	if known == 0 {
		return workers
	}
	return int(max(min(int64(pulledTime)*int64(workers)/int64(known), maxPulled), int64(workers)))
}

// grace is how long the seed may be full before its pulls from peers are called off.
// That leaves what comes there to other nodes; but calling a dozen nodes off and asking
// them again for every packet is work as well. So they are called off at once where
// packets would wait long, and where one pull brings so many that it is seldom.
func (h *host) grace() time.Duration {
	if c := h.cost.get(); c < time.Millisecond || c > batchTime {
		return 0
	}
	return batchTime
}

// open brings a frame's packets to the queue, unless they have to wait or be
// set apart. before are the frames of its pull that were delivered before.
func (h *host) open(peer *peer, inbox store.Queue, lease store.Lease, before *leasedBatch) {
	n := h.node
	header, ps, err := packet.ParseFrame(lease.Data())
	if err != nil {
		n.damaged(inbox, lease, err)
		return
	}
	if peer != nil {
		if err := n.fetch(peer, ps); err != nil {
			n.log.Warn("fetching large data", "node", peer.name, "error", err)
			if err := n.giveBack(peer, inbox, lease, releaseDelay); err != nil {
				n.log.Debug("releasing a frame whose data could not be fetched", "error", err)
			}
			return
		}
		header.Deliveries += lease.Deliveries() - 1
	} else {
		header.Deliveries += n.deaths(inbox, lease)
		if wait := n.tooEarly(header.Deliveries); wait > 0 {
			if err := n.giveBack(nil, inbox, lease, wait); err != nil {
				n.log.Debug("releasing a frame that is not to run yet", "error", err)
			}
			return
		}
	}
	from := n.origin(peer, inbox, lease, ps)
	from.sole = header.Sole
	from.batch = before
	if peer == nil && n.hasProgress(inbox, lease) {
		if err := from.readProgress(n.running); err != nil {
			n.log.Warn("a frame waits for its record of progress", "error", err)
			if err := n.giveBack(peer, inbox, lease, releaseDelay); err != nil {
				n.log.Debug("releasing a frame", "error", err)
			}
			return
		}
	}
	switch {
	case len(ps) > 1 && (header.Deliveries >= splitAfter || time.Duration(len(ps))*h.cost.get() > longFrame):
		h.split(header, ps, from)
	case header.Deliveries >= maxDeliveries:
		for i := range ps {
			if from.begun(i, &ps[i]) {
				from.units[i].end(1)
				continue
			}
			h.deadLetter(&item{Packet: ps[i], from: &from.units[i]}, &runner.Fault{Reason: fmt.Sprintf("%s without an acknowledgement: the node may have crashed on it each time", english.Plural(int(header.Deliveries), "delivery", ""))})
		}
	default:
		h.enqueueNew(ps, from)
	}
}

// begun tells whether an earlier lease of the frame has brought its packet i to
// its end, or stored it to be tried again.
func (o *origin) begun(i int, p *packet.Packet) bool {
	return o.before != nil && (o.before.done.has(i) || o.units[i].has(o.at, p))
}

// enqueueNew brings those packets of a frame to the queue that no earlier lease
// has brought to their end.
func (h *host) enqueueNew(ps []packet.Packet, from *origin) {
	if from.before == nil {
		h.enqueue(ps, from.units)
		return
	}
	from.units[0].hold() // the frame does not end under the loop
	for i := range ps {
		if from.begun(i, &ps[i]) {
			from.units[i].end(1)
		} else {
			h.enqueue(ps[i:i+1], from.units[i:i+1])
		}
	}
	from.units[0].end(1)
}

// enqueue brings the packets of a frame, or one of them, to the queue.
func (h *host) enqueue(ps []packet.Packet, from []unit) {
	if h.queue.pushPulled(ps, from, h.grace()) != nil {
		for i := range ps {
			h.node.reroute(&item{ps[i], &from[i], from[i].frame.sole}, h)
		}
		return
	}
	h.kick()
}

// split stores each packet of a frame by itself. Where that cannot be done they
// are run from where they are.
func (h *host) split(header packet.FrameHeader, ps []packet.Packet, from *origin) {
	n := h.node
	if from.before != nil || from.into() != nil {
		h.enqueueNew(ps, from)
		return
	}
	tx := &store.Tx{Durable: from.peer != nil}
	if from.peer == nil {
		tx.Ack = []store.Lease{from.lease}
	}
	for i := range ps {
		one := packet.FrameHeader{Deliveries: header.Deliveries, Sole: header.Sole}
		tx.Append = append(tx.Append, store.Append{To: from.at, Frame: store.Frame{
			Data: packet.AppendFrame(nil, one, ps[i:i+1]), Packets: 1, Rank: store.Descendant, Blobs: blobsOf(ps[i : i+1]),
		}})
		n.holdBlobs(ps[i : i+1])
	}
	if err := n.store.Commit(n.running, tx); err != nil {
		if notStored(err) {
			for i := range ps {
				n.dropBlobs(ps[i : i+1])
			}
		}
		n.storeTrouble(err)
		h.enqueueNew(ps, from)
		return
	}
	from.finisher.after(&part{frame: from, last: true})
}

// ErrDamaged is a frame in the store that is not what was stored.
var ErrDamaged = errors.New("a frame in the store is damaged")

// newerRest is how long a frame rests that this version cannot read.
const newerRest = time.Hour

// damaged sets a frame aside that cannot be read, and ends its lease; where it
// cannot be set aside it stays in the store.
func (n *Node) damaged(at store.Queue, lease store.Lease, err error) {
	if errors.Is(err, packet.ErrNewerFrame) {
		n.log.Error(fmt.Sprintf("frame %d of %s: %v; it stays in the store for that", lease.Number(), at, err))
		if err := lease.Release(newerRest); err != nil {
			n.log.Debug("releasing a frame of a newer version", "error", err)
		}
		return
	}
	if spoiled, ok := lease.(mesh.Spoiled); ok { // its owner sees to it
		n.log.Error(fmt.Sprintf("frame %d of %s in a peer's store: %v", lease.Number(), at, err))
		if err := spoiled.Spoil(); err != nil {
			n.log.Debug("telling a peer of a damaged frame", "error", err)
		}
		return
	}
	n.damage.Add(1)
	n.log.Error(fmt.Sprintf("frame %d of %s: %v: %v; 'pmk store check' tells more", lease.Number(), at, ErrDamaged, err))
	end := lease.Ack
	if n.cfg.SetAside == nil {
		end = func() error { return lease.Release(time.Hour) }
	} else if err := n.cfg.SetAside(at, lease.Number(), lease.Data()); err != nil {
		n.log.Error("setting a damaged frame aside", "error", err)
		end = func() error { return lease.Release(time.Minute) }
	}
	if err := end(); err != nil {
		n.log.Debug("ending a damaged frame", "error", err)
	}
}
