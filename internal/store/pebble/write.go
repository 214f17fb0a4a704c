package pebble

import (
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A writer does requests, one group at a time.
type writer struct {
	filler
	leaving map[uint64]bool // frames that this group takes out without a lease
}

// write does a group of requests.
func (w *writer) write(reqs []*request, size int) {
	low := w.space.low()
	for _, r := range reqs {
		r.err = w.find(r)
	}
	batch := w.db.NewBatchWithSize(size + 256*len(reqs))
	durable := false
	w.mu.Lock()
	w.first = w.next
	for _, r := range reqs {
		if r.err == nil {
			r.err = w.admit(r, low)
		}
		if r.err == nil {
			w.plan(r)
			durable = durable || r.tx != nil && r.tx.Durable
		}
	}
	w.mu.Unlock()
	for _, r := range reqs {
		if r.err == nil {
			w.fill(batch, r)
		}
	}
	w.fillCounts(batch)
	if durable && batch.Empty() { // what was committed before is to be on the disk
		w.fillNext(batch)
	}
	var g *group
	var err error
	if w.memory {
		// Others see what is in the engine together with what is in the lists.
		w.mu.Lock()
		_, err = w.apply(batch, false)
	} else {
		g, err = w.apply(batch, durable)
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	for _, r := range reqs {
		if r.err != nil {
			continue
		}
		if r.err = err; err == nil {
			w.publish(r)
			if r.tx != nil && r.tx.Durable {
				r.synced = g
			}
		}
	}
	for _, q := range w.changed {
		q.changed = false
		w.tidy(q)
	}
	w.changed = w.changed[:0]
	clear(w.leaving)
}

// apply gives the batch to the engine. g is nil where nobody waits for the disk.
func (w *writer) apply(batch *engine.Batch, durable bool) (g *group, err error) {
	if batch.Empty() {
		return nil, batch.Close()
	}
	if durable && !w.memory {
		if err := w.unlessGivenUp(func() error { return w.db.ApplyNoSyncWait(batch, engine.Sync) }); err != nil {
			return nil, err
		}
		g = &group{batch: batch, done: make(chan struct{})}
		go w.sync(g)
		return g, nil
	}
	apply := func() error { return w.db.Apply(batch, engine.NoSync) }
	if w.memory {
		err = apply()
	} else {
		err = w.unlessGivenUp(apply)
	}
	if err != nil {
		return nil, err
	}
	return nil, batch.Close()
}

// admit says why a request cannot be done. The caller holds the lock.
func (w *writer) admit(r *request, low error) error {
	if w.closed {
		return store.ErrClosed
	}
	if r.tx == nil {
		return nil
	}
	// What does not make the store larger always fits: so what goes in circles
	// ends also where it is full.
	needs := int64(0)
	for _, l := range r.acks {
		needs -= l.frame.size()
	}
	for i := range r.removes {
		needs -= r.removes[i].frame.size()
	}
	for i := range r.tx.Append {
		a := &r.tx.Append[i]
		if low != nil && a.Rank == store.Root {
			return low
		}
		needs += int64(len(a.Data)) + overhead
		if needs <= 0 {
			continue
		}
		if err := w.space.has(needs, a.Rank); err != nil {
			return err
		}
	}
	for i, l := range r.acks {
		if l.held() && !w.leaving[l.frame.number] {
			l.frame.ending = true
			continue
		}
		for _, l := range r.acks[:i] {
			l.frame.ending = false
		}
		return store.ErrLapsed
	}
	return nil
}

// plan draws the numbers of what the request appends, and counts what it
// changes. The caller holds the lock.
func (w *writer) plan(r *request) {
	now := w.clock.now()
	for _, d := range r.moves {
		if w.leaving[d.number] {
			continue
		}
		q := w.queue(d.to)
		f := &frame{content: d.frame}
		f.number = w.draw()
		w.touch(q)
		r.appends = append(r.appends, placed{queue: q, frame: f})
		r.moved = append(r.moved, d)
		w.leaving[d.number] = true
	}
	if r.tx == nil {
		return
	}
	for i := range r.tx.Append {
		a := &r.tx.Append[i]
		f := &frame{content: content{number: w.draw(), data: a.Data, packets: a.Packets, since: now, blobs: unique(a.Blobs)}}
		p := placed{queue: w.queue(a.To), frame: f}
		if a.After > 0 {
			p.due, p.after = now+int64(a.After), int64(a.After)
			p.queue.delayed++
		}
		w.count(p.queue, f, 1)
		r.appends = append(r.appends, p)
	}
	for _, l := range r.acks {
		w.count(l.queue, l.frame, -1)
	}
	r.removes = slices.DeleteFunc(r.removes, func(p placed) bool {
		if held := p.queue.inMemory[p.frame.number]; held != nil && held.ending {
			return true // it is being acknowledged
		}
		if w.leaving[p.frame.number] {
			return true
		}
		w.leaving[p.frame.number] = true
		w.count(p.queue, p.frame, -1)
		if p.after > 0 {
			p.queue.delayed--
		}
		return false
	})
}

// unique is sums with each once, since a key is written once.
func unique(sums []packet.Sum) (out []packet.Sum) {
	for _, sum := range sums {
		if !slices.Contains(out, sum) {
			out = append(out, sum)
		}
	}
	return out
}

// publish lets others see what the request did. The caller holds the lock.
func (w *writer) publish(r *request) {
	for _, l := range r.acks {
		l.queue.drop(l.frame)
	}
	for i := range r.removes {
		p := &r.removes[i]
		if held := p.queue.inMemory[p.frame.number]; held != nil {
			p.queue.drop(held)
		} else {
			p.queue.gone(p.frame.number)
		}
	}
	for _, d := range r.moved {
		w.byName[d.to].delayed-- // not before: Look shows it as delayed or in its queue
	}
	for i := range r.appends {
		p := &r.appends[i]
		if p.after > 0 {
			w.delayedUntil(p.due)
			continue
		}
		p.queue.appended(p.frame)
		p.queue.wake()
	}
}

// sync waits for the disk and closes done.
func (w *writer) sync(g *group) {
	g.err = g.batch.SyncWait()
	if g.err != nil {
		w.fail(g.err)
	}
	g.batch.Close()
	close(g.done)
}
