package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

const (
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
func (f *flow) tooEarly(deliveries int) time.Duration {
	if deliveries < splitAfter || deliveries >= maxDeliveries {
		return 0
	}
	return min(suspectDelay<<(deliveries-splitAfter), maxSuspectDelay) - f.clock.now()
}

// whole is the share of the only pull from a store, or the first.
func whole(ahead int) int { return ahead }

// pull leases frames from a store, the own one or a peer's, as long as ctx says.
// share is how many of the packets that may lie pulled are for this pull.
func (f *flow) pull(ctx context.Context, h *host, from *peer, take func(context.Context, store.Queue, int) ([]store.Lease, error), share func(int) int) {
	inbox := h.inbox
	for wait := storePauses; ctx.Err() == nil; {
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
		f.moving.Add(1)
		var before *leasedBatch
		if from == nil {
			before = deliveredBefore(leases)
		}
		for _, lease := range leases {
			f.open(h, from, inbox, lease, before)
		}
		f.moving.Add(-1)
		switch {
		case err == nil:
			wait.Reset()
			continue
		case ctx.Err() != nil, errors.Is(err, mesh.ErrGone):
			return
		case from == nil:
			f.storeTrouble(err)
		default:
			f.log.Debug("pulling from a peer", "node", from.name, "error", err)
		}
		if !wait.For(ctx) {
			return
		}
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

// open brings a frame's packets to the queue, unless they have to wait or be
// set apart. before are the frames of its pull that were delivered before.
func (f *flow) open(h *host, peer *peer, inbox store.Queue, lease store.Lease, before *leasedBatch) {
	header, ps, err := packet.ParseFrame(lease.Data())
	if err != nil {
		f.damaged(inbox, lease, err)
		return
	}
	if peer != nil {
		if err := f.fetch(peer, ps); err != nil {
			f.log.Warn("fetching large data", "node", peer.name, "error", err)
			if err := f.giveBack(peer, inbox, lease, releaseDelay); err != nil {
				f.log.Debug("releasing a frame whose data could not be fetched", "error", err)
			}
			return
		}
		header.Deliveries += lease.Deliveries() - 1
	} else if header.Tried && lease.Deliveries() == 1 && h.gate.offer(lease) { // once: who has it may not be able to run it
		return
	} else {
		header.Deliveries += f.deaths(inbox, lease)
		if wait := f.tooEarly(header.Deliveries); wait > 0 {
			if err := f.giveBack(nil, inbox, lease, wait); err != nil {
				f.log.Debug("releasing a frame that is not to run yet", "error", err)
			}
			return
		}
	}
	from := f.origin(peer, inbox, lease, ps)
	from.sole = header.Sole
	from.batch = before
	if err := f.learnBefore(from); err != nil {
		f.log.Warn("a frame waits for its record of progress", "error", err)
		if err := f.giveBack(peer, inbox, lease, releaseDelay); err != nil {
			f.log.Debug("releasing a frame", "error", err)
		}
		return
	}
	switch {
	case len(ps) > 1 && (header.Deliveries >= splitAfter || time.Duration(len(ps))*h.cost.get() > longFrame):
		f.split(h, header, ps, from)
	case header.Deliveries >= maxDeliveries:
		for i := range ps {
			if from.begun(i, &ps[i]) {
				from.units[i].end(1)
				continue
			}
			f.deadLetter(h, &item{Packet: ps[i], from: &from.units[i]}, &runner.Fault{Reason: fmt.Sprintf("%s without an acknowledgement: the node may have crashed on it each time", english.Plural(int(header.Deliveries), "delivery", ""))})
		}
	default:
		f.enqueueNew(h, ps, from)
	}
}

// enqueueNew brings those packets of a frame to the queue that no earlier lease
// has brought to their end.
func (f *flow) enqueueNew(h *host, ps []packet.Packet, from *origin) {
	if from.before == nil {
		f.enqueue(h, ps, from.units)
		return
	}
	from.units[0].hold() // the frame does not end under the loop
	for i := range ps {
		if from.begun(i, &ps[i]) {
			from.units[i].end(1)
		} else {
			f.enqueue(h, ps[i:i+1], from.units[i:i+1])
		}
	}
	from.units[0].end(1)
}

// enqueue brings the packets of a frame, or one of them, to the queue.
func (f *flow) enqueue(h *host, ps []packet.Packet, from []unit) {
	if h.queue.pushPulled(ps, from, h.grace()) != nil {
		for i := range ps {
			f.reroute(&item{ps[i], &from[i], from[i].frame.sole}, h)
		}
		return
	}
	h.wake()
}

// split stores each packet of a frame by itself. Where that cannot be done they
// are run from where they are.
func (f *flow) split(h *host, header packet.FrameHeader, ps []packet.Packet, from *origin) {
	if from.before != nil || from.into() != nil {
		f.enqueueNew(h, ps, from)
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
		f.holdBlobs(ps[i : i+1])
	}
	if err := f.store.Commit(f.running, tx); err != nil {
		if notStored(err) {
			for i := range ps {
				f.dropBlobs(ps[i : i+1])
			}
		}
		f.storeTrouble(err)
		f.enqueueNew(h, ps, from)
		return
	}
	f.finisher(from).after(&part{frame: from, last: true})
}
