package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// outlets are the ways of packets into stores: a [committer] for each place that packets
// from outside go to, and a [finisher] for each that frames are ended in.
type outlets struct {
	writer
	committers sync.Map     // of target: *committer
	finishers  sync.Map     // of finishing: *finisher
	abandoned  atomic.Int64 // packets given up because the node ended
}

// committer is the one for the target.
func (o *outlets) committer(t target) *committer {
	if c, ok := o.committers.Load(t); ok {
		return c.(*committer)
	}
	c, _ := o.committers.LoadOrStore(t, newCommitter(&o.writer, t))
	return c.(*committer)
}

// finisher is the one for the frame.
func (o *outlets) finisher(frame *origin) *finisher {
	kind := finishing{frame.peer != nil, frame.into()}
	if f, ok := o.finishers.Load(kind); ok {
		return f.(*finisher)
	}
	f, _ := o.finishers.LoadOrStore(kind, &finisher{writer: &o.writer, finishing: kind})
	return f.(*finisher)
}

// origin is the lineage of a frame that was pulled from a peer's store, or, if
// that is nil, from the own one.
func (o *outlets) origin(from *peer, at store.Queue, lease store.Lease, ps []packet.Packet) *origin {
	frame := newOrigin(from, at, lease, ps)
	frame.ender = o.finisher(frame)
	return frame
}

// learnBefore reads what earlier leases of a frame have stored, if it lies in the own store.
func (o *outlets) learnBefore(frame *origin) error {
	if frame.peer != nil || !o.hasProgress(frame.at, frame.lease) {
		return nil
	}
	b, records, err := o.readProgress(o.running, frame.ref())
	if err != nil || b == nil {
		return err
	}
	frame.before, frame.done, frame.records = b, b.done, records
	return nil
}

// allStored tells whether nothing is on its way into a store.
func (o *outlets) allStored() bool {
	idle := true
	o.committers.Range(func(_, c any) bool {
		idle = c.(*committer).idle()
		return idle
	})
	o.finishers.Range(func(_, f any) bool {
		idle = idle && f.(*finisher).idle()
		return idle
	})
	return idle
}

// forgetPeer lets go of the ways to a peer that is gone.
func (o *outlets) forgetPeer(p *peer) {
	o.committers.Range(func(t, c any) bool {
		if t.(target).into == p && c.(*committer).idle() {
			o.committers.Delete(t)
		}
		return true
	})
	o.finishers.Range(func(kind, f any) bool {
		if kind.(finishing).into == p && f.(*finisher).idle() {
			o.finishers.Delete(kind)
		}
		return true
	})
	o.givenBack.Range(func(d, _ any) bool {
		if d.(delivery).from == p {
			o.givenBack.Delete(d)
		}
		return true
	})
}

// abandon takes one item off the count that got nowhere: the frame is to run
// again. What has no frame to run again is counted as abandoned.
func (o *outlets) abandon(it *item) {
	if it.from == nil {
		o.abandoned.Add(1)
		return
	}
	it.from.lost.Store(true)
	it.from.end(1)
}

// storeIn stores it in these lanes, which lead into one store, and delays it
// there.
func (o *outlets) storeIn(ctx context.Context, it *item, to []lane, after time.Duration, from bringer) (*commit, error) {
	if it.from == nil || to[0].into != it.into() {
		return o.committer(target{to[0].into, to[0].rank}).add(ctx, it, to, after, from)
	}
	for i := range to {
		last := i == len(to)-1
		if !last {
			it.from.hold()
		}
		if err := it.from.store(ctx, it, to[i], after); err != nil {
			if !last {
				it.from.end(1)
			}
			return nil, err
		}
	}
	return nil, nil
}

// storeAlone stores it in one queue.
func (o *outlets) storeAlone(ctx context.Context, it *item, q store.Queue, after time.Duration) (*commit, error) {
	o.fit(&it.Packet)
	return o.storeIn(ctx, it, []lane{{into: it.into(), queue: q, rank: store.Descendant, attempt: attemptOf(it, after), sole: it.sole}}, after, bringer{})
}

// attemptOf sets packets apart that are delayed.
func attemptOf(it *item, after time.Duration) int32 {
	if after == 0 {
		return 0
	}
	return it.Attempt
}
