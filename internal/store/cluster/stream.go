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

// errNoQueue is a queue that does not exist.
var errNoQueue = errors.New("no such queue")

// What the server's errors are called by number.
const (
	codeNoPeers     jetstream.ErrorCode = 10005
	codeUnavailable jetstream.ErrorCode = 10008
	codeNotClusterd jetstream.ErrorCode = 10074
	codeWrongLast   jetstream.ErrorCode = 10071
)

// A queue is what is known here of a stream.
type queue struct {
	name   store.Queue
	stream string

	make   sync.Mutex // held while the stream or its consumer is made
	made   bool       // the stream exists; guarded by make
	pulled bool       // so does the consumer; guarded by make

	mu   sync.Mutex
	idle []*nats.Subscription // of pulls that have ended, for the next
}

// queue is what is known of a queue that exists, or is about to.
func (s *Store) queue(at store.Queue) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.known(at)
	s.queues[at] = q
	return q
}

// lookUp is queue for one that need not exist: of that nothing stays in memory.
func (s *Store) lookUp(at store.Queue) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known(at)
}

// known is what is known of a queue. The lock is held.
func (s *Store) known(at store.Queue) *queue {
	if q := s.queues[at]; q != nil {
		return q
	}
	return &queue{name: at, stream: groupPrefix(s.cfg.Group) + streamName(at)}
}

// check says what is wrong with a queue that is to be made.
func (q *queue) check() error {
	if err := q.name.Check(); err != nil {
		return err
	}
	if len(q.stream) > maxStreamName {
		return fmt.Errorf("the name of its stream in the cluster would have %d bytes; at most %d are allowed: choose a shorter group, type or state", len(q.stream), maxStreamName)
	}
	return nil
}

// ensure makes the queue's stream, once, and tells the other nodes.
func (s *Store) ensure(ctx context.Context, q *queue) error {
	q.make.Lock()
	defer q.make.Unlock()
	if q.made {
		return nil
	}
	if err := q.check(); err != nil {
		return err
	}
	_, err := s.js.Stream(ctx, q.stream)
	if err == nil {
		q.made = true
		return nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	err = s.withReplicas(func(replicas int) error {
		_, err := s.js.CreateStream(ctx, s.streamConfig(q, replicas))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil // another node was faster
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("make the stream: %w", err)
	}
	q.made = true
	s.announce()
	// Nodes that do not hear it look by themselves, only later.
	_ = s.nc.Publish(s.madeSubject(), []byte(q.name))
	return nil
}

func (s *Store) streamConfig(q *queue, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: q.stream,
		// A queue that was cleared has another stream afterwards, whose frames
		// must not get the numbers of earlier ones.
		FirstSeq:    uint64(s.now().UnixMicro()), //nolint:gosec // after 1970
		Subjects:    []string{filter(s.cfg.Group, q.name)},
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

// noteReplicas notes how many replicas the streams of the group have, and which
// have fewer than they should. The lock on counting is held.
func (s *Store) noteReplicas(streams []jetstream.StreamConfig) {
	least := 0
	s.room.weak = s.room.weak[:0]
	for i := range streams {
		n := max(streams[i].Replicas, 1)
		if least == 0 || n < least {
			least = n
		}
		if n < int(s.wanted.Load()) && len(s.room.weak) < maxStrengthen {
			s.room.weak = append(s.room.weak, streams[i])
		}
	}
	s.least.Store(int32(least)) //nolint:gosec // at most 5
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
		err := s.withReplicas(func(replicas int) error {
			if replicas <= cfg.Replicas {
				return nil
			}
			cfg.Replicas = replicas
			calls, cancel := s.within(ctx, callWait)
			defer cancel()
			_, err := s.js.UpdateStream(calls, cfg)
			return err
		})
		if err != nil { // the next count tries again
			s.log.Debug("a stream has fewer replicas than it should", "stream", cfg.Name, "error", err)
			return
		}
	}
}

// madeSubject is where nodes tell each other of a queue that was made.
func (s *Store) madeSubject() string { return "pmk." + s.cfg.Group + ".made" }

// ensureConsumer makes the consumer of a queue that exists, once.
func (s *Store) ensureConsumer(ctx context.Context, q *queue) error {
	q.make.Lock()
	defer q.make.Unlock()
	if q.pulled {
		return nil
	}
	if !q.made {
		_, err := s.js.Stream(ctx, q.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return errNoQueue
		}
		if err != nil {
			return err
		}
		q.made = true
	}
	_, err := s.js.CreateOrUpdateConsumer(ctx, q.stream, jetstream.ConsumerConfig{
		Durable:       consumer,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		MaxWaiting:    4096,
	})
	if err != nil {
		// Of a stream that was made a moment ago a server may not know yet: whether
		// there is none is asked again, and soon.
		return fmt.Errorf("make the consumer: %w", err)
	}
	q.pulled = true
	return nil
}

// forget has the stream and its consumer looked for anew.
func (q *queue) forget() {
	q.make.Lock()
	defer q.make.Unlock()
	q.made, q.pulled = false, false
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
