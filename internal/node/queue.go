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
	// maxPulled bounds what is taken from the store ahead of the workers, in
	// packets; a frame is let in while it is below.
	maxPulled = 4096
)

var (
	// errGone is a push to the queue of a seed that is no longer hosted, or is
	// paused: the packet is to be routed anew.
	errGone = errors.New("the seed takes no more packets")
	// errNoRoom is a push to a queue that is full, by a sender that has
	// another place for the packet.
	errNoRoom = errors.New("the queue is full")
)

// A queue holds the packets that are for one seed, in memory. Its zero value
// is empty and ready.
type queue struct {
	// length is how many packets can be taken now: readable without mu.
	length atomic.Int64

	mu     sync.Mutex
	line   ring   // in the order they came
	alone  []item // to be run one at a time, before all others
	bytes  int    // of line and alone
	held   int    // retries that wait for their time; they keep their place
	pulled portions
	turn   bool // the next batch is to come from pulled
	rested bool // nothing is pulled until somebody has taken something
	gone   bool
	room   chan struct{}      // closed when there is room again; nil while nobody waits
	pull   chan struct{}      // closed when pulled has room again; nil while nobody waits
	ahead  int                // how many packets might lie pulled when that was looked at last
	hungry context.Context    // ends when pulled has had no room for a while; nil while it has none
	fed    context.CancelFunc // ends hungry
	sated  *time.Timer        // will end hungry; nil while it need not
}

// A manner says what a push does when the queue is full.
type manner uint8

const (
	block  manner = iota // until there is room
	refuse               // with errNoRoom
	force                // its way in
)

// push appends it. It returns how long it had to wait.
func (q *queue) push(ctx context.Context, it *item, how manner) (waited time.Duration, err error) {
	q.mu.Lock()
	var since time.Time
	for how != force && !q.gone && q.full() {
		if how == refuse {
			q.mu.Unlock()
			return 0, errNoRoom
		}
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
	q.line.push(*it)
	q.bytes += it.Size()
	q.length.Add(1)
	return waited, nil
}

// pushAlone appends packets that are to be run one at a time: retries, and
// what a broken worker had. It never blocks. Released is how many of them had
// kept their place by [queue.hold].
func (q *queue) pushAlone(released int, its ...item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= released
	if q.gone {
		return errGone
	}
	for i := range its {
		q.alone = append(q.alone, its[i])
		q.bytes += its[i].Size()
	}
	q.length.Add(int64(len(its)))
	return nil
}

// pushBack puts packets in front that were taken and not begun.
func (q *queue) pushBack(its []item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone {
		return errGone
	}
	for i := len(its) - 1; i >= 0; i-- {
		q.line.pushFront(its[i])
		q.bytes += its[i].Size()
	}
	q.length.Add(int64(len(its)))
	return nil
}

// pushPulled appends a frame's packets. When there is no room for more, those who
// were asked for them are called off, unless there is again within the grace.
func (q *queue) pushPulled(ps []packet.Packet, from []unit, grace time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone {
		return errGone
	}
	q.pulled.push(portion{ps, from})
	q.length.Add(int64(len(ps)))
	if q.pulled.packets >= q.ahead || q.pulled.bytes >= maxQueuedBytes {
		q.feed(grace)
	}
	return nil
}

// feed ends hungry, unless there is room again within the grace. The caller holds
// q.mu.
func (q *queue) feed(grace time.Duration) {
	switch {
	case q.hungry == nil:
	case grace == 0:
		q.fed()
		q.hungry = nil
		q.eat()
	case q.sated == nil:
		var sated *time.Timer
		sated = time.AfterFunc(grace, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.sated == sated {
				q.feed(0)
			}
		})
		q.sated = sated
	}
}

// eat stops the end of hungry that is under way. The caller holds q.mu.
func (q *queue) eat() {
	if q.sated != nil {
		q.sated.Stop()
		q.sated = nil
	}
}

// awaitPull blocks until fewer than most packets lie pulled, and returns how
// many more there may be, and a context that ends when there is no room for
// them any more: what others were asked for meanwhile can be called off.
func (q *queue) awaitPull(ctx context.Context, most func() int, share func(int) int) (int, context.Context, error) {
	for {
		q.mu.Lock()
		if q.gone {
			q.mu.Unlock()
			return 0, nil, errGone
		}
		q.ahead = most()
		room := share(q.ahead) - q.pulled.packets
		if room > 0 && !q.rested && q.pulled.bytes < maxQueuedBytes {
			if q.hungry == nil {
				q.hungry, q.fed = context.WithCancel(context.Background())
			}
			q.eat()
			hungry := q.hungry
			q.mu.Unlock()
			return room, hungry, nil
		}
		if q.pull == nil {
			q.pull = make(chan struct{})
		}
		pull := q.pull
		q.mu.Unlock()
		select {
		case <-pull:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
}

// hold keeps a place for a packet that comes back through pushAlone, and tells
// how many places are kept so.
func (q *queue) hold() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held++
	return q.held
}

// unhold gives n such places up.
func (q *queue) unhold(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= n
}

// A batch is what a slot runs at a time.
type batch struct {
	packets []packet.Packet
	from    []*unit // of each packet
	sole    []bool  // whether a packet went to this seed alone
	own     []packet.Packet
}

func (b *batch) reset() {
	clear(b.packets)
	clear(b.from)
	b.packets, b.from, b.sole = b.own[:0], b.from[:0], b.sole[:0]
}

func (b *batch) add(it *item) {
	b.own = append(b.own[:len(b.packets)], it.Packet)
	b.packets = b.own
	b.from = append(b.from, it.from)
	b.sole = append(b.sole, it.sole)
}

// items are the packets of the batch, with their counts.
func (b *batch) items() []item {
	its := make([]item, len(b.packets))
	for i := range its {
		its[i] = b.item(i)
	}
	return its
}

// item is packet i of the batch, with its count.
func (b *batch) item(i int) item { return item{b.packets[i], b.from[i], b.sole[i]} }

// keep leaves the packets in the batch for which that is true; it is asked for each in turn.
func (b *batch) keep(which func(i int) bool) {
	kept := 0
	for i := range b.packets {
		if !which(i) {
			continue
		}
		if kept < i {
			b.packets[kept], b.from[kept], b.sole[kept] = b.packets[i], b.from[i], b.sole[i]
		}
		kept++
	}
	b.packets, b.from, b.sole = b.packets[:kept], b.from[:kept], b.sole[:kept]
}

// take moves up to most packets into b; one that is to be run alone comes
// alone. What came from memory and what came from the store take turns, so
// that neither starves. An empty batch means that there is nothing.
func (q *queue) take(b *batch, most int) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rested {
		q.rested = false
		q.wakePull()
	}
	switch {
	case len(q.alone) > 0:
		b.add(&q.alone[0])
		q.alone[0] = item{}
		if q.alone = q.alone[1:]; len(q.alone) == 0 {
			q.alone = nil
		}
		q.bytes -= b.packets[0].Size()
	case q.pulled.packets > 0 && (q.turn || q.line.n == 0):
		q.turn = false
		q.pulled.take(b, most)
		if q.pulled.packets <= maxPulled/2 {
			q.wakePull()
		}
	default:
		q.turn = true
		for len(b.packets) < most && q.line.n > 0 {
			it := q.line.pop()
			q.bytes -= it.Size()
			b.add(&it)
		}
	}
	q.length.Add(-int64(len(b.packets)))
	// Waking the senders at half full and not at every packet lets both
	// sides work in runs.
	if q.room != nil && q.places() <= maxQueued/2 && q.bytes <= maxQueuedBytes/2 {
		q.wake()
	}
}

// A withdrawn is what was taken out of a queue, none of which has begun.
type withdrawn struct {
	frames []portion // whole
	items  []item    // all else
}

// all are the packets, those of whole frames included.
func (w *withdrawn) all() []item {
	return append(w.items, (&portions{list: w.frames}).items()...)
}

// close takes what is left and refuses everything after.
func (q *queue) close() withdrawn {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = true
	left := q.empty()
	q.wakePull()
	return left
}

// rest takes what is left, and has nothing pulled until somebody has taken something.
func (q *queue) rest() withdrawn {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rested = true
	return q.empty()
}

// resume ends a rest.
func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rested = false
	q.wakePull()
}

// empty takes what is left. The caller holds q.mu.
func (q *queue) empty() withdrawn {
	left := withdrawn{items: q.alone}
	for q.line.n > 0 {
		left.items = append(left.items, q.line.pop())
	}
	var parts portions
	for _, p := range q.pulled.list {
		if len(p.packets) == len(p.from[0].frame.units) {
			left.frames = append(left.frames, p)
		} else {
			parts.push(p)
		}
	}
	left.items = append(left.items, parts.items()...)
	q.alone, q.bytes, q.pulled = nil, 0, portions{}
	q.length.Store(0)
	q.wake()
	q.feed(0)
	return left
}

// of takes the packets of frames that were pulled from p.
func (q *queue) of(p *peer) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var gone, stay portions
	for _, part := range q.pulled.list {
		if part.from[0].frame.peer == p {
			gone.push(part)
		} else {
			stay.push(part)
		}
	}
	q.pulled = stay
	q.length.Add(-int64(gone.packets))
	if gone.packets > 0 {
		q.wakePull()
	}
	return gone.items()
}

// reopen lets a queue that was closed take packets again.
func (q *queue) reopen() {
	q.mu.Lock()
	q.gone = false
	q.mu.Unlock()
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

func (q *queue) wakePull() {
	if q.pull != nil {
		close(q.pull)
		q.pull = nil
	}
}

func (q *queue) places() int { return q.line.n + len(q.alone) + q.held }

func (q *queue) full() bool { return q.places() >= maxQueued || q.bytes >= maxQueuedBytes }

// look tells how many packets and bytes lie in the queue, retries that wait
// for their time included in the count.
func (q *queue) look() (packets, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.places() + q.pulled.packets, q.bytes + q.pulled.bytes
}

// portions are frames that were pulled and not yet run, oldest first.
type portions struct {
	list    []portion
	packets int
	bytes   int
}

type portion struct {
	packets []packet.Packet
	from    []unit // of each packet
}

func (p *portions) push(part portion) {
	p.list = append(p.list, part)
	p.packets += len(part.packets)
	for i := range part.packets {
		p.bytes += part.packets[i].Size()
	}
}

// take makes b the next packets of one frame, without copying them.
func (p *portions) take(b *batch, most int) {
	first := &p.list[0]
	most = min(most, len(first.packets))
	b.packets = first.packets[:most:most]
	for i := range b.packets {
		b.from = append(b.from, &first.from[i])
		b.sole = append(b.sole, first.from[i].frame.sole)
		p.bytes -= b.packets[i].Size()
	}
	p.packets -= most
	first.from = first.from[most:]
	if first.packets = first.packets[most:]; len(first.packets) == 0 {
		p.list[0] = portion{}
		if p.list = p.list[1:]; len(p.list) == 0 {
			p.list = nil
		}
	}
}

func (p *portions) items() []item {
	var out []item
	for _, part := range p.list {
		for i := range part.packets {
			from := &part.from[i]
			out = append(out, item{part.packets[i], from, from.frame.sole})
		}
	}
	return out
}

// A ring is a first-in-first-out list that reuses its space. It grows as
// needed and gives a large array back once it is empty.
type ring struct {
	buf  []item // its length is a power of two, or 0
	head int
	n    int
}

func (r *ring) push(it item) {
	r.grow()
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = it
	r.n++
}

func (r *ring) pushFront(it item) {
	r.grow()
	r.head = (r.head - 1) & (len(r.buf) - 1)
	r.buf[r.head] = it
	r.n++
}

// grow makes room for one more.
func (r *ring) grow() {
	if r.n < len(r.buf) {
		return
	}
	grown := make([]item, max(16, 2*len(r.buf)))
	k := copy(grown, r.buf[r.head:])
	copy(grown[k:], r.buf[:r.head])
	r.buf, r.head = grown, 0
}

func (r *ring) pop() item {
	it := r.buf[r.head]
	r.buf[r.head] = item{} // lets go of the data
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.n == 0 && len(r.buf) > 2*maxQueued {
		r.buf, r.head = nil, 0
	}
	return it
}
