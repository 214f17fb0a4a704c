package node

import (
	"errors"
	"sync"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
)

// A finisher ends frames: for each it stores, in one transaction, what descends
// from its packets and is to be stored, and acknowledges it. It takes all frames
// that have come meanwhile together. A frame whose packets take long, or give
// much, is stored in parts, each with a record of its progress.
//
// Where the store is full, each packet of a frame is on its own: what there is no
// room for is given up and runs again with the frame, which is released.
type finisher struct {
	node      *Node
	finishing // which frames it ends

	mu      sync.Mutex
	list    []*origin
	running bool
}

// finishing is which frames a finisher ends.
type finishing struct {
	// foreign: they lie in peers' stores, which are told once what descends
	// from them is safe.
	foreign bool
	// into is the peer in whose store that is kept; nil is the node's own.
	into *peer
}

// finisher is the one for the frame.
func (n *Node) finisher(o *origin) *finisher {
	kind := finishing{o.peer != nil, o.into()}
	if f, ok := n.finishers.Load(kind); ok {
		return f.(*finisher)
	}
	f, _ := n.finishers.LoadOrStore(kind, &finisher{node: n, finishing: kind})
	return f.(*finisher)
}

// tell has the finisher look at the frame.
func (f *finisher) tell(o *origin) {
	o.mu.Lock()
	told := o.waits
	o.waits = true
	o.mu.Unlock()
	if told {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, o)
	if !f.running {
		f.running = true
		f.node.goroutines.Go(f.run)
	}
}

// idle tells whether there is nothing to do.
func (f *finisher) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.running
}

// take is what has come; none means that the caller is to end.
func (f *finisher) take() []*origin {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	f.running = len(list) > 0
	return list
}

// A part is what is stored of one frame at a time.
type part struct {
	frame *origin
	outs  []output
	done  marks    // units all is stored for, once this is
	began []copyOf // of outs whose unit goes on
	last  bool     // all units have ended
	lost  bool     // one of them was given up
}

// run ends frames until there are none.
func (f *finisher) run() {
	var parts []*part
	for list := f.take(); len(list) > 0; list = f.take() {
		parts = parts[:0]
		for _, o := range list {
			if p := o.take(); p != nil {
				parts = append(parts, p)
			}
		}
		f.storeAll(parts)
	}
}

// take is what is to be stored of the frame now; nil is nothing.
func (o *origin) take() *part {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits = false
	if o.over {
		o.forget(o.out)
		o.out = nil
		return nil
	}
	p := &part{frame: o, outs: o.out, done: o.done, last: o.left == 0, lost: o.lost}
	o.out = nil
	if o.left > 0 {
		for i := range p.outs {
			if !p.done.has(p.outs[i].unit) {
				p.began = append(p.began, p.outs[i].copy())
			}
		}
	}
	if !p.last && len(p.outs) == 0 {
		return nil
	}
	if p.last && p.lost && o.peer != nil {
		o.forget(p.outs) // the frame runs again elsewhere
		p.outs = nil
	}
	return p
}

// storeAll stores parts in as few transactions as can be.
func (f *finisher) storeAll(parts []*part) {
	for len(parts) > 0 {
		n, size := 0, 0
		for n < len(parts) && (n == 0 || size < fullCommitBytes) {
			for i := range parts[n].outs {
				size += parts[n].outs[i].size
			}
			n++
		}
		if err := f.store(parts[:n]); err != nil {
			for _, p := range parts[:n] {
				f.storeOne(p)
			}
		}
		parts = parts[n:]
	}
}

// tries is how often a part is tried before it is given up for want of room.
const tries = 3

// storeOne stores a part by itself, or gives up what cannot be stored of it.
func (f *finisher) storeOne(p *part) {
	var err error
	for i := range tries {
		if err = f.store([]*part{p}); err == nil {
			return
		}
		if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBroken) || !pause.For(f.node.running, minPause<<i) {
			break
		}
		f.node.storeTrouble(err)
	}
	switch {
	case f.foreign:
		// Another node may run it, which has room.
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrBroken):
		f.storeUnits(p)
		return
	case errors.Is(err, store.ErrLapsed): // somebody else has the frame
	case f.node.running.Err() == nil:
		f.node.log.Warn("storing what came of a frame: it runs again", "queue", p.frame.at, "error", err)
	}
	f.release(p)
}

// storeUnits stores what came of each packet of the frame by itself.
func (f *finisher) storeUnits(p *part) {
	o := p.frame
	groups := map[int][]output{}
	for _, out := range p.outs {
		groups[out.unit] = append(groups[out.unit], out)
	}
	done := p.done
	for i := range groups {
		done.unset(i)
	}
	for i, outs := range groups {
		one := &part{frame: o, outs: outs, done: done}
		if p.done.has(i) {
			one.done.set(i)
		} else {
			for j := range outs {
				one.began = append(one.began, outs[j].copy())
			}
		}
		if f.store([]*part{one}) == nil {
			done = one.done
			continue
		}
		o.mu.Lock()
		o.lost = true
		o.done.unset(i)
		o.units[i].lost.Store(true)
		o.forget(outs)
		o.mu.Unlock()
		p.lost = true
	}
	if !p.last {
		return
	}
	if err := f.store([]*part{{frame: o, done: done, last: true, lost: p.lost}}); err != nil {
		f.release(&part{frame: o})
	}
}

// copy names what is stored.
func (out *output) copy() copyOf {
	return copyOf{out.packet.ID, out.lane.queue, out.packet.State}
}

// store stores parts in one transaction.
func (f *finisher) store(parts []*part) error {
	var fr framer
	tx := &store.Tx{Durable: f.foreign}
	for _, p := range parts {
		for i := range p.outs {
			out := &p.outs[i]
			fr.add(out.lane, f.node.frameMost(out.lane.queue), &out.packet, out.size, out.after, nil)
		}
		if !f.foreign {
			p.record(tx)
		}
	}
	var err error
	switch {
	case f.into != nil:
		err = f.into.appendFrames(f.node.running, fr.frames, parts)
	case len(fr.frames) > 0 || len(tx.Ack) > 0 || len(tx.Put) > 0:
		err = f.node.commit(tx, fr.frames)
	}
	if err != nil {
		return err
	}
	if f.into == nil {
		f.node.waitingStored(fr.frames)
	}
	fr.free()
	for _, p := range parts {
		f.after(p)
	}
	return nil
}

// record puts into tx what becomes of the frame, which lies in the own store.
func (p *part) record(tx *store.Tx) {
	o := p.frame
	if p.last && !p.lost {
		tx.Ack = append(tx.Ack, o.lease)
		tx.Delete = append(tx.Delete, o.progressKeys()...)
		return
	}
	if p.progresses() {
		tx.Put = append(tx.Put, o.progress(p))
	}
}

// progresses tells whether the part leaves a record of the frame's progress.
func (p *part) progresses() bool {
	return (!p.last || p.lost) && (p.done.any() || len(p.began) > 0)
}

// after does what follows once a part is stored.
func (f *finisher) after(p *part) {
	o, n := p.frame, f.node
	o.mu.Lock()
	o.forget(p.outs)
	if !f.foreign && p.progresses() {
		o.records++
		n.noteProgress(o, true)
	}
	if !p.last && o.pending > 0 {
		o.timer.Reset(linger)
	}
	o.over = o.over || p.last
	o.mu.Unlock()
	if !p.last {
		return
	}
	var err error
	switch {
	case p.lost && o.untouched.Load():
		err = n.giveBack(o.peer, o.at, o.lease, 0)
	case p.lost:
		err = n.giveBack(o.peer, o.at, o.lease, releaseDelay)
	case f.foreign:
		if err = o.lease.Ack(); err == nil {
			n.givenBack.Delete(delivery{o.peer, o.at, o.lease.Number()})
		}
	default:
		n.givenBack.Delete(delivery{nil, o.at, o.lease.Number()})
		if o.records > 0 {
			n.noteProgress(o, false)
		}
		n.dropLater(o.blobs)
	}
	if o.peer != nil { // they are copies: those beside the frame are the peer's
		n.drop(o.blobs)
	}
	n.drop(o.passed)
	if err != nil { // the frame comes again, which does no harm
		n.log.Debug("ending a frame", "error", err)
	}
}

// release releases the frame of a part that cannot be stored, though perhaps not
// all its units have ended.
func (f *finisher) release(p *part) {
	p.last, p.lost = true, true
	p.done, p.began = marks{}, nil // nothing of it was stored
	f.after(p)
}
