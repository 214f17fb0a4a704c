// Package cluster is the store that all nodes of a group share: a NATS cluster
// with JetStream that others run.
//
// Every queue is a stream with one durable consumer, with three replicas, or as
// many as the cluster has servers; all tables are one key-value bucket. Nodes that
// pull share the consumer: it counts deliveries and delivers again what its holder
// does not renew. Nothing is stored on this machine.
//
// A commit returns when a quorum of the replicas has what was appended and put. It
// is then safe from the loss of any one server of three, its disk included. Whether
// each of them has also synced it to its disk is the cluster's own setting:
// with sync_interval at its default of two minutes, a power cut that takes most
// servers at once can lose what was acknowledged in that time; with
// "sync_interval: always" it cannot.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A Store has its frames in a cluster. It is safe for concurrent use.
//
// It consists of layers, each of which holds the one below and knows nothing of those above: the
// connection, the replicas, the queues, the counter of what lies there, what is leased, the locks,
// the tables, and what does transactions over these and large data.
type Store struct {
	committer

	wg      sync.WaitGroup // the goroutines that end with ctx
	closing sync.Once
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Shared = (*Store)(nil)
)

// maxReplicas is how many servers have each frame, where there are as many.
const maxReplicas = 3

// Open connects to the cluster and sees that it can store packets. Its errors
// name the server and what to do.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	s := &Store{}
	s.cfg, s.log, s.changed, s.reached = cfg, cfg.Log, make(chan struct{}), s.resend
	s.byName = map[store.Queue]*queue{}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Group == "" {
		s.cfg.Group = "default"
	}
	if err := packet.CheckName("group", s.cfg.Group); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.leases.init()
	s.space = newSpace(s.cfg.Size, s.cfg.Reserve)
	s.wanted.Store(maxReplicas)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.blobs = newBlobs(&s.locks)
	if err := s.connect(ctx); err != nil {
		s.stop()
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
			s.nc.Close()
		}
	}()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.wg.Go(s.watch)
	s.wg.Go(s.renew)
	s.wg.Go(s.blobs.collect)
	return s, nil
}

// begin sees that the cluster has JetStream, and makes what the store needs
// beside queues.
func (s *Store) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	// What this user may not do is not answered, only said.
	s.mu.Lock()
	s.refused = cancel
	s.mu.Unlock()
	for _, step := range []func(context.Context) error{s.askJetStream, s.openLocks, s.blobs.open, s.openRecords, s.probe} {
		if err := s.answered(ctx, step); err != nil {
			return s.explain(err)
		}
	}
	if _, err := s.nc.Subscribe(s.madeSubject(), func(*nats.Msg) { s.announce() }); err != nil {
		return s.explain(err)
	}
	s.ackTo = nats.NewInbox()
	if _, err := s.nc.Subscribe(s.ackTo+".*", s.confirmed); err != nil {
		return s.explain(err)
	}
	if err := s.untilAnswered(ctx, s.recount); err != nil {
		return s.explain(err)
	}
	return nil
}

// answered does a step of opening until the cluster answers. One that came while
// the servers chose a leader is refused, or never answered.
func (s *Store) answered(ctx context.Context, step func(context.Context) error) error {
	for {
		calls, cancel := s.within(ctx, callWait)
		err := step(calls)
		cancel()
		if !isCode(err, codeUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// askJetStream sees that the cluster has JetStream.
func (s *Store) askJetStream(ctx context.Context) error {
	_, err := s.js.AccountInfo(ctx)
	return err
}

// openWait bounds what Open does after it has a connection.
const openWait = 30 * time.Second

// Conn is the connection to the cluster, for what else nodes say to each other
// there. It belongs to the store, which closes it.
func (s *Store) Conn() *nats.Conn { return s.nc }

// Group is whose packets these are.
func (s *Store) Group() string { return s.cfg.Group }

// At is how the store is reached now, for people; without passwords.
func (s *Store) At() string { return s.where() }

// Replicas is how many servers of the cluster have each frame and record at
// least: another node, or an administrator, may have made a stream with fewer
// than this node would.
func (s *Store) Replicas() int { return int(s.least.Load()) }

// Blobs are the large data of the group. They end with the store.
func (s *Store) Blobs() *Blobs { return s.blobs }

// Promise is what the store holds to. With less than two replicas, the power cut
// of the one server is covered by its own setting only.
func (s *Store) Promise() store.Promise {
	n := s.Replicas()
	return store.Promise{Kill: true, PowerLoss: n > 1, Replicas: n}
}

// State tells how full the store is and whether it can be written.
func (s *Store) State() store.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.State{Used: s.space.amount(), Size: s.space.size, Reserve: s.space.reserve, Err: s.down}
}

// Close gives all leases back, waits for what was acknowledged, and ends the
// connection.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.stop()
		s.announce()
		s.wg.Wait()
		s.giveAllBack()
		s.strays.Wait()
		s.awaitAcks(context.Background(), closeWait)
		if s.nc.IsConnected() {
			if err = s.nc.FlushTimeout(closeWait); err != nil {
				err = fmt.Errorf("close the store: %w; what was leased is free again within %v", err, store.MaxLapse)
			}
		}
		s.nc.Close()
	})
	return err
}
