package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
)

// The queues are those that this process knows.
type queues struct {
	replicas
	byName map[store.Queue]*queue // under mu
}

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
func (s *queues) queue(at store.Queue) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.known(at)
	s.byName[at] = q
	return q
}

// lookUp is queue for one that need not exist: of that nothing stays in memory.
func (s *queues) lookUp(at store.Queue) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known(at)
}

// known is what is known of a queue. The lock is held.
func (s *queues) known(at store.Queue) *queue {
	if q := s.byName[at]; q != nil {
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
func (s *queues) ensure(ctx context.Context, q *queue) error {
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

func (s *queues) streamConfig(q *queue, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: q.stream,
		// A queue that was cleared has another stream afterwards, whose frames
		// must not get the numbers of earlier ones.
		FirstSeq:    uint64(s.clock.now().UnixMicro()), //nolint:gosec // after 1970
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

// madeSubject is where nodes tell each other of a queue that was made.
func (s *queues) madeSubject() string { return "pmk." + s.cfg.Group + ".made" }

// ensureConsumer makes the consumer of a queue that exists, once.
func (s *queues) ensureConsumer(ctx context.Context, q *queue) error {
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

// deleteStream deletes a queue's stream; it is no error if there is none.
func (s *queues) deleteStream(ctx context.Context, q *queue) error {
	q.make.Lock()
	defer q.make.Unlock()
	if err := s.js.DeleteStream(ctx, q.stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	q.made, q.pulled = false, false
	return nil
}

// info asks about a queue's stream, its subjects included; it is nil if there is
// none.
func (s *queues) info(ctx context.Context, q *queue) (info *jetstream.StreamInfo, err error) {
	err = s.untilAnswered(ctx, func(ctx context.Context) error {
		stream, err := s.js.Stream(ctx, q.stream)
		if err == nil {
			info, err = stream.Info(ctx, jetstream.WithSubjectFilter(filter(s.cfg.Group, q.name)))
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			info, err = nil, nil
		}
		return err
	})
	return info, err
}

// close ends the subscriptions that are kept for later pulls.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, sub := range q.idle {
		_ = sub.Unsubscribe() // it has ended with the connection if not now
	}
	q.idle = nil
}

// remove deletes a frame; it is no error if there is none.
func (s *queues) remove(ctx context.Context, q *queue, number uint64) error {
	stream, err := s.js.Stream(ctx, q.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// What is not there is known before: the server says so in too many ways.
	_, err = stream.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	failed := stream.DeleteMsg(ctx, number)
	if failed == nil {
		return nil
	}
	if _, err := stream.GetMsg(ctx, number); errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // another was faster
	}
	return failed
}
