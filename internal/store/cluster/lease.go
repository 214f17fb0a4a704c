package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// renewEvery is how often what is held is renewed: a message that is lost
	// with a server costs no lease.
	renewEvery = ackWait / 4
	// ackTries is how long an acknowledgement that is not confirmed is sent
	// again. Afterwards the frame comes again.
	ackTries = 5 * ackWait
	// maxUnconfirmed bounds what is acknowledged and not yet confirmed, in bytes
	// of frames, before more is pulled.
	maxUnconfirmed = 8 << 20
)

// A holder is what this process has leased.
type holder struct {
	counter
	leases leases // under mu
	acks   atomic.Uint64
	ackTo  string         // where acknowledgements are confirmed
	strays sync.WaitGroup // the subscriptions that are drained
}

// A key is one frame of the store.
type key struct {
	at     store.Queue
	number uint64
}

// leases is what this process holds. It is guarded by the link's lock.
//
// Invariant: a frame is held, ending, or neither; never both.
type leases struct {
	// held are leased to someone here. They are renewed, and when the server
	// delivers one again, because a renewal came late, it is not handed out.
	held map[key]*lease
	// ending were acknowledged, but the server has not confirmed it. asked
	// finds them by the number of the acknowledgement.
	ending map[key]*ending
	asked  map[uint64]*ending
	// delayed are frames that were given back from here until they are due.
	delayed map[key]time.Time
	// unconfirmed are the bytes of the frames in ending, and fewer is closed
	// when they have become fewer.
	unconfirmed int64
	fewer       chan struct{}
}

func (l *leases) init() {
	l.held, l.ending, l.asked = map[key]*lease{}, map[key]*ending{}, map[uint64]*ending{}
	l.delayed = map[key]time.Time{}
	l.fewer = make(chan struct{})
}

// A lease is one frame that somebody here works on.
type lease struct {
	s          *holder
	key        key
	data       []byte
	deliveries int

	// Guarded by the link's lock.
	reply string // where the server wants to hear of it
	over  bool
}

// An ending is a frame that was acknowledged.
type ending struct {
	key   key
	size  int64
	id    uint64 // in asked
	since time.Time

	reply string // guarded by the link's lock
	// over is closed when the frame is gone, which confirmed says, or may not be.
	over      chan struct{}
	confirmed bool
}

// weight is what a frame counts for in unconfirmed: small ones have a cost as
// well.
func (e *ending) weight() int64 { return e.size + 1<<10 }

func (l *lease) Data() []byte { return l.data }

func (l *lease) Number() uint64 { return l.key.number }

func (l *lease) Deliveries() int { return l.deliveries }

// Ack ends the lease and the frame.
func (l *lease) Ack() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.over {
		return l.ended()
	}
	l.s.acknowledge(l)
	return nil
}

// acknowledge ends a lease and its frame. The lock is held.
func (s *holder) acknowledge(l *lease) *ending {
	l.end()
	e := &ending{key: l.key, reply: l.reply, size: int64(len(l.data)), id: s.acks.Add(1), since: time.Now(), over: make(chan struct{})}
	s.leases.ending[e.key], s.leases.asked[e.id] = e, e
	s.leases.unconfirmed += e.weight()
	s.space.gone(e.size)
	s.sendAck(e)
	return e
}

// Release gives the frame back.
func (l *lease) Release(after time.Duration) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	switch {
	case !l.over:
		l.s.giveBack(l, after)
	case l.s.closed:
		return l.ended()
	}
	return nil
}

// end takes the lease from what is held. The lock is held.
func (l *lease) end() {
	l.over = true
	delete(l.s.leases.held, l.key)
}

// ended is what whoever uses a lease that has ended is told. The lock is held.
func (l *lease) ended() error {
	err := store.ErrLapsed
	if l.s.closed {
		err = store.ErrClosed
	}
	return fmt.Errorf("acknowledge frame %d of %s: %w", l.key.number, l.key.at, err)
}

// giveBack frees a frame after the delay. The lock is held.
func (s *holder) giveBack(l *lease, after time.Duration) {
	l.end()
	s.nak(l.reply, after)
}

// nak tells the server that a frame is to be delivered again after the delay.
func (s *holder) nak(reply string, after time.Duration) {
	nak := []byte("-NAK")
	if after > 0 {
		nak = fmt.Appendf(nak, ` {"delay": %d}`, after.Nanoseconds())
	}
	// Without a connection it is delivered again all the same: the lease lapses.
	_ = s.nc.Publish(reply, nak)
}

// sendAck tells the server that a frame is done with, and where to confirm it.
// The lock is held.
func (s *holder) sendAck(e *ending) {
	// What does not get through is sent again.
	_ = s.nc.PublishRequest(e.reply, s.ackTo+"."+strconv.FormatUint(e.id, 36), []byte("+ACK"))
}

// confirmed takes the server's word that an acknowledgement is done.
func (s *holder) confirmed(msg *nats.Msg) {
	if msg.Header.Get("Status") != "" {
		return // nobody listens for the moment
	}
	id, err := strconv.ParseUint(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:], 36, 64)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.leases.asked[id]; e != nil {
		s.finish(e, true)
	}
}

// finish forgets a frame that was acknowledged. The lock is held.
func (s *holder) finish(e *ending, confirmed bool) {
	e.confirmed = confirmed
	close(e.over)
	delete(s.leases.asked, e.id)
	if s.leases.ending[e.key] == e {
		delete(s.leases.ending, e.key)
	}
	s.leases.unconfirmed -= e.weight()
	close(s.leases.fewer)
	s.leases.fewer = make(chan struct{})
}
