package link

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
)

// maxOut is how many bytes of messages may wait to be sent before new pulls wait
// too. Verdicts and cancels always get in: there are never more of them than
// leases and pulls.
const maxOut = 64 << 10

// A puller is the stream of frames of a peer, from who pulls. It is opened by the
// first pull, or to resume leases.
type puller struct {
	peer      *Peer
	leaveTime time.Duration // the constant, except in tests
	kept      *kept         // nil until it is known who the owner is

	// Under kept's lock.
	resumed   uint64   // the pull that names the leases of earlier streams
	named     []*grant // those, until it is answered
	sent      []*grant // that verdicts were sent of and not confirmed, oldest first
	confirmed uint64   // how many were

	mu     sync.Mutex
	begun  bool
	closed bool
	last   uint64 // the number of the last pull
	open   map[uint64]*waiting
	out    []byte        // messages that wait to be sent
	ready  chan struct{} // closed when out is not empty
	room   chan struct{} // closed when out is not too long any more; nil if nobody waits
	left   chan struct{} // closed when all was sent and nothing will be; nil until the node ends

	under sync.WaitGroup // the stream's goroutine
}

// A waiting is a pull that waits for its answer.
type waiting struct {
	most   int
	answer chan arrival // of one
}

// pull asks for frames and waits for them.
func (p *puller) pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	if most < 1 {
		return nil, fmt.Errorf("at most %d frames were asked for; expected 1 or more", most)
	}
	if err := from.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiting{most: min(most, maxMost), answer: make(chan arrival, 1)}
	id, err := p.ask(ctx, from, w)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-w.answer:
		return p.leases(a, from)
	case <-p.peer.ctx.Done():
		return nil, mesh.ErrGone
	case <-ctx.Done():
	}
	p.mu.Lock()
	if p.open[id] == w {
		delete(p.open, id)
		p.send(message{kind: msgCancel, pull: id})
		p.mu.Unlock()
		return nil, ctx.Err()
	}
	p.mu.Unlock()
	return p.leases(<-w.answer, from) // it came just now
}

// ask sends a pull.
func (p *puller) ask(ctx context.Context, from store.Queue, w *waiting) (id uint64, err error) {
	p.begin()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.out) > maxOut && !p.closed {
		if p.room == nil {
			p.room = make(chan struct{})
		}
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		case <-p.peer.ctx.Done():
		}
		p.mu.Lock()
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	switch {
	case p.closed || p.left != nil || p.peer.ctx.Err() != nil:
		return 0, mesh.ErrGone
	case len(p.open) >= maxPulls/2: // cancelled ones may still count there
		return 0, fmt.Errorf("%d pulls are open; at most %d are allowed", len(p.open), maxPulls/2)
	}
	p.last++
	p.open[p.last] = w
	p.send(message{kind: msgPull, pull: p.last, most: uint16(w.most), place: from})
	return p.last, nil
}

// begin opens the stream, unless it is open.
func (p *puller) begin() {
	p.mu.Lock()
	begun := p.begun
	p.mu.Unlock()
	if begun {
		return
	}
	p.kept.mu.Lock()
	defer p.kept.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun || p.closed || p.peer.ctx.Err() != nil {
		return
	}
	p.begun = true
	p.ready = make(chan struct{})
	p.kept.attach(p)
	p.under.Go(p.run)
}

// resume opens the stream if there was one before: the owner holds what was leased over
// it until it is told which leases go on, even if none does.
func (p *puller) resume() {
	p.kept.mu.Lock()
	begun := p.kept.begun
	p.kept.mu.Unlock()
	if begun {
		p.begin()
	}
}

// leave gives back what was leased: this node ends. It waits until that was sent,
// but not for long.
func (p *puller) leave() {
	p.mu.Lock()
	if !p.begun || p.closed || p.left != nil {
		p.mu.Unlock()
		return
	}
	left := make(chan struct{})
	p.left = left
	p.send(message{kind: msgLeave})
	p.mu.Unlock()
	limit := time.NewTimer(p.leaveTime)
	defer limit.Stop()
	select {
	case <-left:
	case <-limit.C:
	case <-p.peer.ctx.Done():
	}
}

// decide sends a verdict. The caller holds the lock, and kept's.
func (p *puller) decide(m message, g *grant) {
	m.pull, m.index = g.pull, g.index
	p.send(m)
	p.sent = append(p.sent, g)
}

// send puts a message behind those that wait. The caller holds the lock.
func (p *puller) send(m message) {
	if len(p.out) == 0 {
		close(p.ready)
	}
	p.out = appendMessage(p.out, m)
}

// leases are what came of a pull from a queue.
func (p *puller) leases(a arrival, from store.Queue) ([]store.Lease, error) {
	if a.failed != nil {
		var told problem
		if err := json.Unmarshal(a.failed, &told); err != nil {
			return nil, fmt.Errorf("an error that cannot be read: %w", err)
		}
		return nil, p.peer.reason(context.Background(), told.err())
	}
	leases, grants := make([]store.Lease, len(a.frames)), make([]*grant, len(a.frames))
	for i, l := range a.frames {
		l.ref, l.puller, l.kept = store.Ref{At: from, Number: l.number}, p, p.kept
		leases[i], grants[i] = l, l.grant
	}
	if !p.kept.add(p, grants) {
		return nil, mesh.ErrGone // and they are given back, since nobody resumes them
	}
	return leases, nil
}

// run keeps the stream until it breaks, and with it the peer.
func (p *puller) run() {
	req := p.peer.request(p.peer.ctx, http.MethodPost, current+"frames", nil)
	req.Body, req.ContentLength = outgoing{p}, -1
	resp, err := p.peer.do(req, "open the stream of frames")
	if err != nil {
		p.peer.end(err) // whoever waits learns that the node is gone
		return
	}
	defer resp.Body.Close()
	r := bufio.NewReaderSize(hearing{resp.Body, p.peer}, streamBuffer)
	for {
		a, err := readArrival(r, p.most)
		if err != nil {
			p.peer.end(fmt.Errorf("the stream of frames: %w", err))
			return
		}
		switch a.kind {
		case msgTaken:
			p.kept.taken(p, a.pull)
			continue
		case msgResumed:
			if a.pull == p.resumed {
				p.kept.lapse(p, a.lapsed)
			}
			continue
		}
		p.mu.Lock()
		w := p.open[a.pull]
		delete(p.open, a.pull)
		p.mu.Unlock()
		if w != nil { // else it was cancelled, and what it had is given back
			w.answer <- a
		}
	}
}

// hearing reads what comes from a peer, which shows that it lives.
type hearing struct {
	io.Reader
	peer *Peer
}

func (h hearing) Read(buf []byte) (int, error) {
	n, err := h.Reader.Read(buf)
	if n > 0 {
		h.peer.heard()
	}
	return n, err
}

// most is how many frames a pull may have.
func (p *puller) most(id uint64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.open[id]; w != nil {
		return w.most
	}
	return maxMost
}

// wait ends the stream. The peer has ended.
func (p *puller) wait() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	p.under.Wait()
	if !again && p.kept != nil {
		p.kept.detach(p)
	}
}

// outgoing is the body of the stream's request: what is to be sent, as it comes.
type outgoing struct{ p *puller }

// Read waits for messages.
func (o outgoing) Read(buf []byte) (int, error) {
	p := o.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.out) == 0 {
		if p.left != nil {
			select {
			case <-p.left:
			default:
				close(p.left)
			}
			return 0, io.EOF
		}
		ready := p.ready
		p.mu.Unlock()
		select {
		case <-ready:
		case <-p.peer.ctx.Done():
		}
		p.mu.Lock()
		if p.peer.ctx.Err() != nil {
			return 0, io.EOF
		}
	}
	n := copy(buf, p.out)
	p.out = p.out[:copy(p.out, p.out[n:])]
	if len(p.out) == 0 {
		p.ready = make(chan struct{})
	}
	if len(p.out) <= maxOut && p.room != nil {
		close(p.room)
		p.room = nil
	}
	return n, nil
}

// Close does nothing: Read ends with the peer.
func (o outgoing) Close() error { return nil }

// A lease is one frame of a peer.
type lease struct {
	*grant
	kept       *kept
	number     uint64
	deliveries int
	data       []byte
}

var _ interface {
	store.Lease
	mesh.Spoiled
	mesh.Lapsing
} = (*lease)(nil)

// Data is the frame.
func (l *lease) Data() []byte { return l.data }

// Number is the frame's number in its place there.
func (l *lease) Number() uint64 { return l.number }

// Deliveries counts as [mesh.Store] says.
func (l *lease) Deliveries() int { return l.deliveries }

// Ack ends the lease and the frame. An owner that is away is told when it is back.
func (l *lease) Ack() error { return l.kept.decide(l.grant, message{kind: msgAck}) }

// Release gives the frame back.
func (l *lease) Release(after time.Duration) error {
	return l.kept.decide(l.grant, message{kind: msgRelease, after: min(after, maxDelay)})
}

// Spoil says that the frame is not what was stored.
func (l *lease) Spoil() error { return l.kept.decide(l.grant, message{kind: msgSpoil}) }

// Lapsed tells whether the lease has ended, or may have.
func (l *lease) Lapsed() bool { return l.kept.doubtful(l.grant) }
