package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/packet"
)

// The bounds of a seed's queue. A packet is let in while the queue is below
// both, so that one packet of any size always fits.
const (
	maxQueued      = 1024
	maxQueuedBytes = 32 << 20
)

// errGone is a push to the queue of a seed that is no longer hosted: the
// packet is to be routed anew.
var errGone = errors.New("the seed is no longer hosted")

// A queue holds the packets that are for one seed, in memory. Its zero value
// is empty and ready.
type queue struct {
	// length is how many packets can be taken now: readable without mu.
	length atomic.Int64

	mu    sync.Mutex
	line  ring            // in the order they came
	alone []packet.Packet // to be run one at a time, before the line
	bytes int             // of line and alone
	held  int             // retries that wait for their time; they keep their place
	gone  bool
	room  chan struct{} // closed when there is room again; nil while nobody waits
}

// push appends p and blocks while the queue is full, unless forced. It
// returns how long it had to wait.
func (q *queue) push(ctx context.Context, p *packet.Packet, forced bool) (waited time.Duration, err error) {
	q.mu.Lock()
	var since time.Time
	for !forced && !q.gone && q.full() {
		if since.IsZero() {
			since = time.Now()
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return time.Since(since), ctx.Err()
		}
		q.mu.Lock()
	}
	defer q.mu.Unlock()
	if !since.IsZero() {
		waited = time.Since(since)
	}
	if q.gone {
		return waited, errGone
	}
	q.line.push(*p)
	q.bytes += p.Size()
	q.length.Add(1)
	return waited, nil
}

// pushAlone appends packets that are to be run one at a time: retries, and
// what a broken worker had. It never blocks. Released is how many of them had
// kept their place by [queue.hold].
func (q *queue) pushAlone(released int, ps ...packet.Packet) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= released
	if q.gone {
		return errGone
	}
	for i := range ps {
		q.alone = append(q.alone, ps[i])
		q.bytes += ps[i].Size()
	}
	q.length.Add(int64(len(ps)))
	return nil
}

// hold keeps a place for a packet that comes back through pushAlone.
func (q *queue) hold() {
	q.mu.Lock()
	q.held++
	q.mu.Unlock()
}

// take moves up to most packets into batch[:0] and returns it; one that is to
// be run alone comes alone. An empty batch means that there is nothing.
func (q *queue) take(batch []packet.Packet, most int) []packet.Packet {
	batch = batch[:0]
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.alone) > 0 {
		batch = append(batch, q.alone[0])
		q.alone[0] = packet.Packet{}
		if q.alone = q.alone[1:]; len(q.alone) == 0 {
			q.alone = nil
		}
	} else {
		for len(batch) < most && q.line.n > 0 {
			batch = append(batch, q.line.pop())
		}
	}
	for i := range batch {
		q.bytes -= batch[i].Size()
	}
	q.length.Add(-int64(len(batch)))
	// Waking the senders at half full and not at every packet lets both
	// sides work in runs.
	if q.room != nil && q.places() <= maxQueued/2 && q.bytes <= maxQueuedBytes/2 {
		q.wake()
	}
	return batch
}

// close takes what is left and refuses everything after.
func (q *queue) close() []packet.Packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = true
	rest := q.alone
	for q.line.n > 0 {
		rest = append(rest, q.line.pop())
	}
	q.alone, q.bytes = nil, 0
	q.length.Store(0)
	q.wake()
	return rest
}

// recheck lets what waits for room look again: its route may have changed.
func (q *queue) recheck() {
	q.mu.Lock()
	q.wake()
	q.mu.Unlock()
}

func (q *queue) wake() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

func (q *queue) places() int { return q.line.n + len(q.alone) + q.held }

func (q *queue) full() bool { return q.places() >= maxQueued || q.bytes >= maxQueuedBytes }

// look tells how many packets and bytes lie in the queue, retries that wait
// for their time included in the count.
func (q *queue) look() (packets, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.places(), q.bytes
}

// A ring is a first-in-first-out list that reuses its space. It grows as
// needed and gives a large array back once it is empty.
type ring struct {
	buf  []packet.Packet // its length is a power of two, or 0
	head int
	n    int
}

func (r *ring) push(p packet.Packet) {
	if r.n == len(r.buf) {
		grown := make([]packet.Packet, max(16, 2*len(r.buf)))
		k := copy(grown, r.buf[r.head:])
		copy(grown[k:], r.buf[:r.head])
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = p
	r.n++
}

func (r *ring) pop() packet.Packet {
	p := r.buf[r.head]
	r.buf[r.head] = packet.Packet{} // lets go of the data
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.n == 0 && len(r.buf) > 2*maxQueued {
		r.buf, r.head = nil, 0
	}
	return p
}
