package node

import (
	"errors"
	"sync"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A finisher ends frames: for each it stores, in one transaction, what descends
// from its packets and is to be stored, and acknowledges it. It takes all frames
// that have come meanwhile together. A frame whose packets take long, or give
// much, is stored in parts, each with a record of its progress.
//
// Where the store is full, each packet of a frame is on its own: what there is no
// room for is given up and runs again with the frame, which is released.
type finisher struct {
	*writer
	finishing // which frames it ends

	mu   sync.Mutex
	list []*origin
	busy bool
}

// finishing is which frames a finisher ends.
type finishing struct {
	// foreign: they lie in peers' stores, which are told once what descends
	// from them is safe.
	foreign bool
	// into is the peer in whose store that is kept; nil is the node's own.
	into *peer
}

// look has the finisher look at the frame.
func (f *finisher) look(o *origin) {
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
	if !f.busy {
		f.busy = true
		f.goroutines.Go(f.run)
	}
}

// lingered has the finisher look at a frame of which something is pending. A node that
// ends does not need it: all units end.
func (f *finisher) lingered(o *origin) {
	f.entering.Add(1) // it may start a goroutine
	defer f.entering.Add(-1)
	if f.running.Err() == nil {
		f.look(o)
	}
}

// idle tells whether there is nothing to do.
func (f *finisher) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.busy
}

// take is what has come; none means that the caller is to end.
func (f *finisher) take() []*origin {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	f.busy = len(list) > 0
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
		if err := f.storeParts(parts[:n]); err != nil {
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
		if err = f.storeParts([]*part{p}); err == nil {
			return
		}
		if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBroken) || !pause.For(f.running, minPause<<i) {
			break
		}
		f.storeTrouble(err)
	}
	switch {
	case f.foreign:
		// Another node may run it, which has room.
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrBroken):
		f.storeUnits(p)
		return
	case errors.Is(err, store.ErrLapsed): // somebody else has the frame
	case f.running.Err() == nil:
		f.log.Warn("storing what came of a frame: it runs again", "queue", p.frame.at, "error", err)
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
		if f.storeParts([]*part{one}) == nil {
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
	if err := f.storeParts([]*part{{frame: o, done: done, last: true, lost: p.lost}}); err != nil {
		f.release(&part{frame: o})
	}
}

// copy names what is stored.
func (out *output) copy() copyOf {
	return copyOf{out.packet.ID, out.lane.queue, out.packet.State}
}

// storeParts stores parts in one transaction.
func (f *finisher) storeParts(parts []*part) error {
	var fr framer
	tx := &store.Tx{Durable: f.foreign}
	there := map[packet.Sum]bool{} // what the frames hold where they lie
	for _, p := range parts {
		if f.into != nil {
			for _, sum := range p.frame.blobs {
				there[sum] = true
			}
		}
		for i := range p.outs {
			out := &p.outs[i]
			fr.add(out.lane, f.most(out.lane.queue), &out.packet, out.size, out.after, nil)
		}
		if !f.foreign {
			p.record(tx)
		}
	}
	if len(fr.frames) > 0 || len(tx.Ack) > 0 || len(tx.Put) > 0 {
		if err := f.write(f.into, tx, fr.frames, there); err != nil {
			return err
		}
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
		tx.Delete = append(tx.Delete, progressKeys(o.ref(), o.records)...)
		return
	}
	if p.progresses() {
		tx.Put = append(tx.Put, progressRecord(o.ref(), o.records, &p.done, p.began))
	}
}

// progresses tells whether the part leaves a record of the frame's progress.
func (p *part) progresses() bool {
	return (!p.last || p.lost) && (p.done.any() || len(p.began) > 0)
}

// after does what follows once a part is stored.
func (f *finisher) after(p *part) {
	o := p.frame
	o.mu.Lock()
	o.forget(p.outs)
	if !f.foreign && p.progresses() {
		o.records++
		f.noteProgress(o.ref(), true)
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
		err = f.giveBack(o.peer, o.at, o.lease, 0)
	case p.lost:
		err = f.giveBack(o.peer, o.at, o.lease, releaseDelay)
	case f.foreign:
		if err = o.lease.Ack(); err == nil {
			f.givenBack.Delete(delivery{o.peer, o.at, o.lease.Number()})
		}
	default:
		f.givenBack.Delete(delivery{nil, o.at, o.lease.Number()})
		if o.records > 0 {
			f.noteProgress(o.ref(), false)
		}
		f.dropLater(o.blobs)
	}
	if o.peer != nil { // they are copies: those beside the frame are the peer's
		f.drop(o.blobs)
	}
	f.drop(o.passed)
	if err != nil { // the frame comes again, which does no harm
		f.log.Debug("ending a frame", "error", err)
	}
}

// release releases the frame of a part that cannot be stored, though perhaps not
// all its units have ended.
func (f *finisher) release(p *part) {
	p.last, p.lost = true, true
	p.done, p.began = marks{}, nil // nothing of it was stored
	f.after(p)
}

// apart puts the output's data beside the frame if it is too large for one.
func (f *finisher) apart(out output) (output, error) {
	p := &out.packet
	if len(p.Data) > store.MaxInline {
		b, err := f.putData(p)
		if err != nil {
			return out, err
		}
		out.own, p.Blob, p.Data = b.Sum, &b, ""
	}
	f.holdLeft()
	return out, nil
}
