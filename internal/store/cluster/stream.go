package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

const (
	// consumer is the name of every stream's consumer.
	consumer = "pull"
	// ackWait is how long a lease lasts without renewal.
	ackWait = 6 * time.Second
	// duplicates is the window in which the server looks for equal ids. Frames
	// carry none; this is the least it can be.
	duplicates = 100 * time.Millisecond
	// maxStreamName is the longest name that a server takes.
	maxStreamName = 255
)

// errNoPlace is a place that does not exist.
var errNoPlace = errors.New("no such place")

// What the server's errors are called by number.
const (
	codeNoPeers     jetstream.ErrorCode = 10005
	codeNotClusterd jetstream.ErrorCode = 10074
	codeWrongLast   jetstream.ErrorCode = 10071
)

// A place is what is known here of a stream.
type place struct {
	name   store.Place
	stream string

	make   sync.Mutex // held while the stream or its consumer is made
	made   bool       // the stream exists; guarded by make
	pulled bool       // so does the consumer; guarded by make

	mu   sync.Mutex
	idle []*nats.Subscription // of pulls that have ended, for the next
}

// place is the record of a place, which need not exist.
func (s *Store) place(at store.Place) *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.places[at]
	if p == nil {
		p = &place{name: at, stream: layout.GroupPrefix(s.cfg.Group) + layout.StreamName(at)}
		s.places[at] = p
	}
	return p
}

// check says what is wrong with a place that is to be made.
func (p *place) check() error {
	if err := p.name.Check(); err != nil {
		return err
	}
	if len(p.stream) > maxStreamName {
		return fmt.Errorf("the name of its stream in the cluster would have %d bytes; at most %d are allowed: choose a shorter group, type or state", len(p.stream), maxStreamName)
	}
	return nil
}

// ensure makes the place's stream, once, and tells the other nodes.
func (s *Store) ensure(ctx context.Context, p *place) error {
	p.make.Lock()
	defer p.make.Unlock()
	if p.made {
		return nil
	}
	if err := p.check(); err != nil {
		return err
	}
	_, err := s.js.Stream(ctx, p.stream)
	if err == nil {
		p.made = true
		return nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	err = s.withReplicas(func(replicas int) error {
		_, err := s.js.CreateStream(ctx, s.streamConfig(p, replicas))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil // another node was faster
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("make the stream: %w", err)
	}
	p.made = true
	s.announce()
	// Nodes that do not hear it look by themselves, only later.
	_ = s.nc.Publish(s.madeSubject(), []byte(p.name))
	return nil
}

func (s *Store) streamConfig(p *place, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        p.stream,
		Subjects:    []string{layout.Filter(s.cfg.Group, p.name)},
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		Storage:     jetstream.FileStorage,
		Replicas:    replicas,
		MaxMsgs:     -1,
		MaxBytes:    -1,
		MaxMsgSize:  -1,
		Duplicates:  duplicates,
		AllowDirect: false, // a replica that lags would not show what is there
	}
}

// withReplicas makes something with as many replicas as the cluster has servers
// for, at most three. What the cluster cannot do because a server is down is
// done with fewer, and made up for by [Store.strengthen].
func (s *Store) withReplicas(create func(replicas int) error) error {
	for n := int(s.wanted.Load()); ; n-- {
		err := create(n)
		switch {
		case isCode(err, codeNotClusterd):
			s.wanted.Store(1)
			n = 2
		case isCode(err, codeNoPeers) && n > 1:
			if !strings.Contains(err.Error(), "offline") {
				s.wanted.Store(int32(n - 1)) //nolint:gosec // at most 3
			}
		default:
			return err
		}
	}
}

// weak notes which streams have fewer replicas than they should. The lock on
// counting is held.
func (s *Store) weak(streams []listed) {
	s.room.weak = s.room.weak[:0]
	for _, st := range streams {
		if st.Config.Replicas < int(s.wanted.Load()) && len(s.room.weak) < maxStrengthen {
			s.room.weak = append(s.room.weak, st.Config)
		}
	}
}

// maxStrengthen is how many streams get more replicas after a count.
const maxStrengthen = 8

// strengthen gives streams that were made while a server was down the replicas
// that they lack. All nodes may try: it is the same change.
func (s *Store) strengthen(ctx context.Context) {
	s.room.counting.Lock()
	weak := s.room.weak
	s.room.weak = nil
	s.room.counting.Unlock()
	for _, cfg := range weak {
		cfg.Replicas = int(s.wanted.Load())
		calls, cancel := s.within(ctx, callWait)
		_, err := s.js.UpdateStream(calls, cfg)
		cancel()
		if err != nil { // the next count tries again
			s.log.Debug("a stream has fewer replicas than it should", "stream", cfg.Name, "error", err)
			return
		}
	}
}

// madeSubject is where nodes tell each other of a place that was made.
func (s *Store) madeSubject() string { return "pmk." + s.cfg.Group + ".made" }

// ensureConsumer makes the consumer of a place that exists, once.
func (s *Store) ensureConsumer(ctx context.Context, p *place) error {
	p.make.Lock()
	defer p.make.Unlock()
	if p.pulled {
		return nil
	}
	if !p.made {
		_, err := s.js.Stream(ctx, p.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return errNoPlace
		}
		if err != nil {
			return err
		}
		p.made = true
	}
	_, err := s.js.CreateOrUpdateConsumer(ctx, p.stream, jetstream.ConsumerConfig{
		Durable:       consumer,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		MaxWaiting:    4096,
	})
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		p.made = false
		return errNoPlace
	case err != nil:
		return fmt.Errorf("make the consumer: %w", err)
	}
	p.pulled = true
	return nil
}

// forget has the stream and its consumer looked for anew.
func (p *place) forget() {
	p.make.Lock()
	defer p.make.Unlock()
	p.made, p.pulled = false, false
}

// isCode tells whether err is the server's error with this number.
func isCode(err error, codes ...jetstream.ErrorCode) bool {
	var api jetstream.JetStreamError
	if !errors.As(err, &api) || api.APIError() == nil {
		return false
	}
	for _, c := range codes {
		if api.APIError().ErrorCode == c {
			return true
		}
	}
	return false
}

// isFull tells whether err says that a limit of the cluster is reached: of
// memory, storage, streams or messages, of the servers or of the account.
func isFull(err error) bool {
	return isCode(err, 10002, 10023, 10027, 10028, 10047, 10077, 10110, 10120, 10122)
}
