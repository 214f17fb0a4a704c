package cluster

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
)

// awaitConfirmed waits while too much is acknowledged and not yet confirmed.
func (s *holder) awaitConfirmed(ctx context.Context) error {
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
func (s *holder) awaitAcks(ctx context.Context, most time.Duration) {
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
func (s *holder) arrive(q *queue, msg *nats.Msg) store.Lease {
	meta, err := msg.Metadata()
	if err != nil {
		s.log.Error("a message in a queue is no frame", "queue", q.name, "error", err)
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
func (s *holder) giveAllBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.leases.held {
		s.giveBack(l, 0)
	}
}

// renew renews what is held, and sends again what was not confirmed.
func (s *holder) renew() {
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
func (s *holder) resend() {
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
