package pebble

import (
	"encoding/binary"

	engine "github.com/cockroachdb/pebble/v2"
)

// A filler puts what a group of requests does into a batch of the engine.
type filler struct {
	storage

	next, reserved uint64   // the next frame's number, and the bound that is stored
	first          uint64   // the number of the first frame of this group
	changed        []*queue // whose counts this group changes
	key            []byte
}

// fill writes what the request does into the batch. That is in memory: its
// calls do not fail.
func (w *filler) fill(b *engine.Batch, r *request) {
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
func (w *filler) set(b *engine.Batch, p *placed) {
	if w.memory && p.after == 0 {
		return // its queue's list is all that there is
	}
	for _, sum := range p.frame.blobs {
		_ = b.Set(blobKey(nil, sum, p.frame.number), nil, nil)
	}
	if p.after > 0 {
		d := delayed{due: p.due, after: p.after, number: p.frame.number, to: p.queue.name, frame: p.frame.content}
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
func (w *filler) unset(b *engine.Batch, p *placed) {
	if w.memory && p.after == 0 {
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
func (w *filler) fillCounts(b *engine.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.memory {
		return
	}
	for _, q := range w.changed {
		if q.frames == 0 {
			_ = b.Delete(queueKey(keyCount, q.name), nil)
			if q.noted {
				_ = b.Delete(queueKey(keyLeased, q.name), nil)
				q.noted = false
			}
			delete(w.marked, q)
			continue
		}
		q.low = max(q.low, q.lowest(w.first))
		_ = b.Set(queueKey(keyCount, q.name), q.counts.value(), nil)
	}
	w.fillMarks(b)
	if w.next > w.reserved-reserve/2 { // so that it is durable before it is used up
		w.reserved = w.next + reserve
		w.fillNext(b)
	}
}

// fillNext stores the bound again.
func (w *filler) fillNext(b *engine.Batch) {
	_ = b.Set(keyNext, binary.LittleEndian.AppendUint64(nil, w.reserved), nil)
}

// reserve is how many numbers are drawn before the bound is stored again.
const reserve = 1 << 20

// draw is the next frame's number.
func (w *filler) draw() uint64 {
	w.next++
	return w.next - 1
}

// count counts a frame in or out.
func (w *filler) count(q *queue, f *frame, by int) {
	q.frames += by
	q.packets += by * f.packets
	q.bytes += int64(by) * int64(len(f.data))
	w.space.used.Add(int64(by) * f.size())
	w.touch(q)
}

// touch has the counts of the queue written with this group.
func (w *filler) touch(q *queue) {
	if !q.changed {
		q.changed = true
		w.changed = append(w.changed, q)
	}
}
