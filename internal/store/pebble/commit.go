package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Commits form groups. Whoever comes while no group is being applied leads the
// next: it takes all that is pending, makes one batch of the engine of it,
// applies it, and hands the lead on before it waits for the disk. So there is one
// writer at a time, which alone draws numbers and changes counts, and what
// comes first is visible first; and one fsync serves all that was applied before
// it.

// A request is one transaction on its way, or what the store does by itself.
type request struct {
	tx    *store.Tx
	moves []*delayed // to their queues

	turn   chan bool // true: lead the next group; false: the request is done
	leads  bool      // it was told to lead; under the writer's lock
	err    error
	synced *group // to wait for, once it is done

	acks    []*lease
	appends []placed
	removes []placed
	moved   []*delayed // of moves
}

// A placed frame is one that a request appends or takes out.
type placed struct {
	queue *queue
	frame *frame
	due   int64 // of a delayed one, whose delay is after
	after int64
}

// A group is what one batch of the engine holds.
type group struct {
	batch *engine.Batch
	done  chan struct{} // closed when it is on the disk, or cannot be
	err   error
}

// sync waits for the disk and closes done.
func (s *Store) sync(g *group) {
	g.err = g.batch.SyncWait()
	if g.err != nil {
		s.fail(g.err)
	}
	g.batch.Close()
	close(g.done)
}

// wait waits for the disk. Who gives up does not learn whether it was stored.
func (s *Store) wait(ctx context.Context, g *group) error {
	select {
	case <-g.done:
		if g.err != nil {
			return s.trouble()
		}
		return nil
	case <-s.gaveUp:
		return s.trouble()
	case <-s.cfg.Disk.Stuck():
		return s.trouble()
	case <-ctx.Done():
	}
	if err := s.trouble(); err != nil {
		return fmt.Errorf("it may be stored later: %w", err)
	}
	return fmt.Errorf("it may be stored later: %w: %v", store.ErrBroken, ctx.Err())
}

// A writer puts requests in line. Its zero value needs the store.
type writer struct {
	store *Store

	mu      sync.Mutex
	pending []*request
	writing bool
	closed  bool
	idle    chan struct{} // closed when nothing is written any more; nil while nobody waits

	// Of the writer alone.
	next, reserved uint64 // the next frame's number, and the bound that is stored
	first          uint64 // the number of the first frame of this group
	changed        []*queue
	leaving        map[uint64]bool // frames that this group takes out without a lease
	key            []byte
}

// maxGroup is how many bytes a group may have before others wait for the next.
const maxGroup = 4 << 20

// Commit does a transaction; see [store.Store].
func (s *Store) Commit(ctx context.Context, tx *store.Tx) error {
	if err := tx.Check(); err != nil {
		return err
	}
	r := &request{tx: tx}
	for _, l := range tx.Ack {
		own, ok := l.(*lease)
		if !ok || own.queue.store != s {
			return errors.New("acknowledge a frame: its lease is one of another store")
		}
		r.acks = append(r.acks, own)
	}
	return s.writer.submit(ctx, r)
}

// submit has the request done, and returns when it is.
func (w *writer) submit(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return store.ErrClosed
	}
	if w.store.broken.Load() != nil || r.tx != nil && r.tx.Durable && w.store.cfg.Disk.Err() != nil {
		w.mu.Unlock()
		return w.store.trouble()
	}
	w.pending = append(w.pending, r)
	lead := !w.writing
	if !lead {
		r.turn = make(chan bool, 1)
	}
	w.writing = true
	w.mu.Unlock()
	if !lead {
		var err error
		if lead, err = w.await(ctx, r); err != nil {
			return err
		}
	}
	if lead {
		w.lead()
	}
	if r.err == nil && r.synced != nil {
		return w.store.wait(ctx, r.synced)
	}
	return r.err
}

// await waits until it is the request's turn to lead, or it is done.
func (w *writer) await(ctx context.Context, r *request) (lead bool, err error) {
	select {
	case lead = <-r.turn:
		return lead, nil
	case <-w.store.gaveUp:
		return false, w.store.trouble()
	case <-ctx.Done():
	}
	if w.withdraw(r) {
		return false, ctx.Err()
	}
	select {
	case lead = <-r.turn:
		return lead, nil
	case <-w.store.gaveUp:
		return false, w.store.trouble()
	}
}

// withdraw takes the request out of the line again; false means that it is being
// done.
func (w *writer) withdraw(r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.pending, r)
	if i < 0 || r.leads {
		return false
	}
	w.pending = slices.Delete(w.pending, i, i+1)
	return true
}

// lead writes what is pending and hands the lead on.
func (w *writer) lead() {
	w.mu.Lock()
	n, size := 0, 0
	for n < len(w.pending) && (n == 0 || size < maxGroup) {
		size += w.pending[n].size()
		n++
	}
	reqs := w.pending[:n:n]
	w.pending = w.pending[n:]
	w.mu.Unlock()

	w.write(reqs, size)

	w.mu.Lock()
	if len(w.pending) > 0 {
		w.pending[0].leads = true
		w.pending[0].turn <- true
	} else {
		w.pending, w.writing = nil, false
		if w.idle != nil {
			close(w.idle)
			w.idle = nil
		}
	}
	w.mu.Unlock()
	for _, r := range reqs {
		if r.turn != nil && !r.leads {
			r.turn <- false
		}
	}
}

// close waits for what is being written and refuses everything after.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	var idle chan struct{}
	if w.writing {
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle = w.idle
	}
	w.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-w.store.gaveUp:
	}
}

// size is about how many bytes the request writes.
func (r *request) size() int {
	n := 0
	if r.tx != nil {
		for i := range r.tx.Append {
			n += len(r.tx.Append[i].Data) + overhead
		}
		for i := range r.tx.Put {
			n += len(r.tx.Put[i].Key.Key) + len(r.tx.Put[i].Value)
		}
		n += overhead * (len(r.tx.Ack) + len(r.tx.Delete))
	}
	for _, d := range r.moves {
		n += len(d.frame.data) + 2*overhead
	}
	return n
}

// write does a group of requests.
func (w *writer) write(reqs []*request, size int) {
	s := w.store
	low := s.room.low()
	for _, r := range reqs {
		r.err = w.find(r)
	}
	batch := s.db.NewBatchWithSize(size + 256*len(reqs))
	durable := false
	s.mu.Lock()
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
	s.mu.Unlock()
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
	if s.memory() {
		// Others see what is in the engine together with what is in the lists.
		s.mu.Lock()
		_, err = s.apply(batch, false)
	} else {
		g, err = s.apply(batch, durable)
		s.mu.Lock()
	}
	defer s.mu.Unlock()
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
		s.tidy(q)
	}
	w.changed = w.changed[:0]
	clear(w.leaving)
}

// apply gives the batch to the engine. g is nil where nobody waits for the disk.
func (s *Store) apply(batch *engine.Batch, durable bool) (g *group, err error) {
	if batch.Empty() {
		return nil, batch.Close()
	}
	if durable && !s.memory() {
		if err := s.unlessGivenUp(func() error { return s.db.ApplyNoSyncWait(batch, engine.Sync) }); err != nil {
			return nil, err
		}
		g = &group{batch: batch, done: make(chan struct{})}
		go s.sync(g)
		return g, nil
	}
	apply := func() error { return s.db.Apply(batch, engine.NoSync) }
	if s.memory() {
		err = apply()
	} else {
		err = s.unlessGivenUp(apply)
	}
	if err != nil {
		return nil, err
	}
	return nil, batch.Close()
}

// find reads the frames that the request takes out without a lease.
func (w *writer) find(r *request) error {
	if r.tx == nil {
		return nil
	}
	for _, ref := range r.tx.Remove {
		if err := w.findFrame(r, ref); err != nil {
			return inFrame(ref.At, ref.Number, err)
		}
	}
	for _, q := range r.tx.Clear {
		if err := w.findAll(r, q); err != nil {
			return fmt.Errorf("clear %s: %w", q, err)
		}
	}
	return nil
}

// findFrame finds a frame that may be in memory or not.
func (w *writer) findFrame(r *request, ref store.Ref) error {
	s := w.store
	s.mu.Lock()
	q := s.queues[ref.At]
	var f *frame
	if q != nil {
		f = q.inMemory[ref.Number]
	}
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	if f == nil && s.memory() {
		return nil
	}
	if f == nil {
		value, done, err := s.db.Get(frameKey(nil, ref.At, ref.Number))
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		f, err = parseFrame(slices.Clone(value))
		_ = done.Close() // only read
		if err != nil {
			return err
		}
		f.number = ref.Number
	}
	r.removes = append(r.removes, placed{queue: q, frame: f})
	return nil
}

// findAll finds all frames of a queue.
func (w *writer) findAll(r *request, name store.Queue) error {
	s := w.store
	s.mu.Lock()
	q := s.queues[name]
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	if s.memory() {
		s.mu.Lock()
		for f := q.first; f != nil; f = f.next {
			r.removes = append(r.removes, placed{queue: q, frame: f})
		}
		s.mu.Unlock()
	}
	prefix := frameKey(nil, name, 0)
	prefix = prefix[:len(prefix)-8]
	var damaged error
	err := s.each(context.Background(), prefix, after(prefix), func(key, value []byte) bool {
		f, err := parseFrame(slices.Clone(value))
		if err != nil {
			damaged = inFrame(name, numberOf(key), err)
			return false
		}
		f.number = numberOf(key)
		r.removes = append(r.removes, placed{queue: q, frame: f})
		return true
	})
	if err = errors.Join(err, damaged); err != nil {
		return err
	}
	return s.each(context.Background(), []byte{keyDelayed}, []byte{keyDelayed + 1}, func(key, value []byte) bool {
		if d, err := parseDelayed(key, slices.Clone(value)); err == nil && d.to == name {
			d.frame.number = d.number
			r.removes = append(r.removes, placed{queue: q, frame: d.frame, due: d.due, after: d.after})
		}
		return true
	})
}

// admit says why a request cannot be done. The caller holds the lock.
func (w *writer) admit(r *request, low error) error {
	s := w.store
	if s.closed {
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
		if err := s.room.has(needs, a.Rank); err != nil {
			return err
		}
	}
	for i, l := range r.acks {
		if l.held() && !w.leaving[l.frame.number] {
			l.ending = true
			continue
		}
		for _, l := range r.acks[:i] {
			l.ending = false
		}
		return store.ErrLapsed
	}
	return nil
}

// plan draws the numbers of what the request appends, and counts what it
// changes. The caller holds the lock.
func (w *writer) plan(r *request) {
	s := w.store
	now := s.clock.now()
	for _, d := range r.moves {
		if w.leaving[d.number] {
			continue
		}
		q := s.queue(d.to)
		d.frame.number = w.draw()
		w.touch(q)
		r.appends = append(r.appends, placed{queue: q, frame: d.frame})
		r.moved = append(r.moved, d)
		w.leaving[d.number] = true
	}
	if r.tx == nil {
		return
	}
	for i := range r.tx.Append {
		a := &r.tx.Append[i]
		f := &frame{number: w.draw(), data: a.Data, packets: a.Packets, since: now, blobs: unique(a.Blobs)}
		p := placed{queue: s.queue(a.To), frame: f}
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
		if held := p.queue.inMemory[p.frame.number]; held != nil && held.holder != nil && held.holder.ending {
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

// draw is the next frame's number.
func (w *writer) draw() uint64 {
	w.next++
	return w.next - 1
}

// count counts a frame in or out.
func (w *writer) count(q *queue, f *frame, by int) {
	q.frames += by
	q.packets += by * f.packets
	q.bytes += int64(by) * int64(len(f.data))
	w.store.room.used.Add(int64(by) * f.size())
	w.touch(q)
}

// touch has the counts of the queue written with this group.
func (w *writer) touch(q *queue) {
	if !q.changed {
		q.changed = true
		w.changed = append(w.changed, q)
	}
}

// fill writes what the request does into the batch. That is in memory: its
// calls do not fail.
func (w *writer) fill(b *engine.Batch, r *request) {
	for _, d := range r.moved {
		_ = b.SingleDelete(d.key(), nil)
		for _, sum := range d.frame.blobs {
			_ = b.SingleDelete(blobKey(nil, sum, d.number), nil)
		}
	}
	for i := range r.appends {
		w.set(b, &r.appends[i])
	}
	if r.tx == nil {
		return
	}
	for i := range r.tx.Put {
		_ = b.Set(recordKey(r.tx.Put[i].Key), r.tx.Put[i].Value, nil)
	}
	for i := range r.tx.Delete {
		_ = b.Delete(recordKey(r.tx.Delete[i]), nil)
	}
	for _, l := range r.acks {
		w.unset(b, &placed{queue: l.queue, frame: l.frame})
	}
	for i := range r.removes {
		w.unset(b, &r.removes[i])
	}
}

// set writes a frame.
func (w *writer) set(b *engine.Batch, p *placed) {
	if w.store.memory() && p.after == 0 {
		return // its queue's list is all that there is
	}
	for _, sum := range p.frame.blobs {
		_ = b.Set(blobKey(nil, sum, p.frame.number), nil, nil)
	}
	if p.after > 0 {
		d := delayed{due: p.due, after: p.after, number: p.frame.number, to: p.queue.name, frame: p.frame}
		_ = b.Set(d.key(), d.value(), nil)
		return
	}
	w.key = frameKey(w.key[:0], p.queue.name, p.frame.number)
	op := b.SetDeferred(len(w.key), p.frame.valueSize())
	copy(op.Key, w.key)
	p.frame.appendValue(op.Value[:0])
	_ = op.Finish()
}

// unset takes a frame out.
func (w *writer) unset(b *engine.Batch, p *placed) {
	if w.store.memory() && p.after == 0 {
		return
	}
	w.key = frameKey(w.key[:0], p.queue.name, p.frame.number)
	if p.after > 0 {
		w.key = delayedKey(w.key[:0], p.due, p.frame.number)
	}
	_ = b.SingleDelete(w.key, nil)
	for _, sum := range p.frame.blobs {
		_ = b.SingleDelete(blobKey(nil, sum, p.frame.number), nil)
	}
}

// fillCounts writes the counts of the queues that the group changed, the bound
// of the numbers that were drawn, and the marks of what was leased.
func (w *writer) fillCounts(b *engine.Batch) {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory() {
		return
	}
	for _, q := range w.changed {
		if q.frames == 0 {
			_ = b.Delete(queueKey(keyCount, q.name), nil)
			if q.noted {
				_ = b.Delete(queueKey(keyLeased, q.name), nil)
				q.noted = false
			}
			delete(s.marked, q)
			continue
		}
		q.low = max(q.low, q.lowest(w.first))
		_ = b.Set(queueKey(keyCount, q.name), q.counts.value(), nil)
	}
	s.fillMarks(b)
	if w.next > w.reserved-reserve/2 { // so that it is durable before it is used up
		w.reserved = w.next + reserve
		w.fillNext(b)
	}
}

// fillNext stores the bound again.
func (w *writer) fillNext(b *engine.Batch) {
	_ = b.Set(keyNext, binary.LittleEndian.AppendUint64(nil, w.reserved), nil)
}

// reserve is how many numbers are drawn before the bound is stored again.
const reserve = 1 << 20

// publish lets others see what the request did. The caller holds the lock.
func (w *writer) publish(r *request) {
	s := w.store
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
		s.queues[d.to].delayed-- // not before: Look shows it as delayed or in its queue
	}
	for i := range r.appends {
		p := &r.appends[i]
		if p.after > 0 {
			s.delayedUntil(p.due)
			continue
		}
		p.queue.appended(p.frame)
		p.queue.wake()
	}
}
