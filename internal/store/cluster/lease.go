package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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

// A key is one frame of the store.
type key struct {
	at     store.Queue
	number uint64
}

// leases is what this process holds. It is guarded by the store's lock.
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
	s          *Store
	key        key
	data       []byte
	deliveries int

	// Guarded by the store's lock.
	reply string // where the server wants to hear of it
	over  bool
}

// An ending is a frame that was acknowledged.
type ending struct {
	key   key
	size  int64
	id    uint64 // in asked
	since time.Time

	reply string // guarded by the store's lock
	// over is closed when the frame is gone, which confirmed says, or may not be.
	over      chan struct{}
	confirmed bool
}

// weight is what a frame counts for in unconfirmed: small ones have a cost as
// well.
func (e *ending) weight() int64 { return e.size + 1<<10 }

func (l *lease) Data() []byte    { return l.data }
func (l *lease) Number() uint64  { return l.key.number }
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
func (s *Store) acknowledge(l *lease) *ending {
	l.end()
	e := &ending{key: l.key, reply: l.reply, size: int64(len(l.data)), id: s.acks.Add(1), since: time.Now(), over: make(chan struct{})}
	s.leases.ending[e.key], s.leases.asked[e.id] = e, e
	s.leases.unconfirmed += e.weight()
	s.room.gone(e.size)
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
func (s *Store) giveBack(l *lease, after time.Duration) {
	l.end()
	s.nak(l.reply, after)
}

// nak tells the server that a frame is to be delivered again after the delay.
func (s *Store) nak(reply string, after time.Duration) {
	nak := []byte("-NAK")
	if after > 0 {
		nak = fmt.Appendf(nak, ` {"delay": %d}`, after.Nanoseconds())
	}
	// Without a connection it is delivered again all the same: the lease lapses.
	_ = s.nc.Publish(reply, nak)
}

// sendAck tells the server that a frame is done with, and where to confirm it.
// The lock is held.
func (s *Store) sendAck(e *ending) {
	// What does not get through is sent again.
	_ = s.nc.PublishRequest(e.reply, s.ackTo+"."+strconv.FormatUint(e.id, 36), []byte("+ACK"))
}

// confirmed takes the server's word that an acknowledgement is done.
func (s *Store) confirmed(msg *nats.Msg) {
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
func (s *Store) finish(e *ending, confirmed bool) {
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

// awaitConfirmed waits while too much is acknowledged and not yet confirmed.
func (s *Store) awaitConfirmed(ctx context.Context) error {
	for {
		s.mu.Lock()
		few, fewer := s.leases.unconfirmed <= maxUnconfirmed, s.leases.fewer
		s.mu.Unlock()
		if few {
			return nil
		}
		select {
		case <-fewer:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return nil
		}
	}
}

// awaitAcks waits until the server confirmed every acknowledgement, but not longer
// than most.
func (s *Store) awaitAcks(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		s.mu.Lock()
		left, fewer := len(s.leases.asked), s.leases.fewer
		s.mu.Unlock()
		if left == 0 || !s.nc.IsConnected() {
			return
		}
		select {
		case <-fewer:
		case <-ctx.Done():
			return
		}
	}
}

// arrive is a frame that the server delivered. It is nil when the frame is not
// to be handed out: it is held already, or done with.
func (s *Store) arrive(q *queue, msg *nats.Msg) store.Lease {
	meta, err := msg.Metadata()
	if err != nil {
		s.log.Error("a message that is no frame", "queue", q.name, "error", err)
		return nil
	}
	k := key{q.name, meta.Sequence.Stream}
	_, after := parseSubject(msg.Subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases.held[k]; l != nil {
		l.reply = msg.Reply
		return nil
	}
	if e := s.leases.ending[k]; e != nil {
		e.reply = msg.Reply
		s.sendAck(e)
		return nil
	}
	nth := meta.NumDelivered
	if after > 0 {
		if !s.delay(k, msg.Reply, nth, after, meta.Timestamp) {
			return nil
		}
		nth-- // the first was none
	}
	l := &lease{s: s, key: k, data: msg.Data, reply: msg.Reply, deliveries: int(nth)} //nolint:gosec // a small number
	s.leases.held[k] = l
	return l
}

// giveAllBack releases whatever is held, at the end.
func (s *Store) giveAllBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.leases.held {
		s.giveBack(l, 0)
	}
}

// renew keeps what is held, and sends again what was not confirmed.
func (s *Store) renew() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		s.forgetDelayed()
		replies := make([]string, 0, len(s.leases.held))
		for _, l := range s.leases.held {
			replies = append(replies, l.reply)
		}
		s.mu.Unlock()
		for _, reply := range replies {
			if s.nc.Publish(reply, []byte("+WPI")) != nil {
				break // without a connection the next round tries again
			}
		}
		s.resend()
	}
}

// resend sends acknowledgements again that were not confirmed for a while: they
// may have gone to a server that is no more.
func (s *Store) resend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.leases.asked {
		switch age := time.Since(e.since); {
		case age > ackTries:
			s.finish(e, false)
		case age > renewEvery/2:
			s.sendAck(e)
		}
	}
}
