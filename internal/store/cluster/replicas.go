package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
)

// The replicas are how many servers have each stream.
type replicas struct {
	link
	wanted atomic.Int32             // of a stream that is made
	least  atomic.Int32             // the fewest that a stream of the group has
	weak   []jetstream.StreamConfig // those with too few, as of the last count; under mu
}

// bucket opens a bucket or makes it.
func (s *replicas) bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := s.js.KeyValue(ctx, cfg.Bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	err = s.withReplicas(func(replicas int) error {
		cfg.Replicas = replicas
		kv, err = s.js.CreateKeyValue(ctx, cfg)
		return err
	})
	if errors.Is(err, jetstream.ErrBucketExists) { // another node made it, with other replicas
		return s.js.KeyValue(ctx, cfg.Bucket)
	}
	return kv, err
}

// withReplicas makes something with as many replicas as the cluster has servers
// for, at most three. What the cluster cannot do because a server is down is
// done with fewer, and made up for by [replicas.strengthen].
func (s *replicas) withReplicas(create func(replicas int) error) error {
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
// have fewer than they should.
func (s *replicas) noteReplicas(streams []jetstream.StreamConfig) {
	least := 0
	var weak []jetstream.StreamConfig
	for i := range streams {
		n := max(streams[i].Replicas, 1)
		if least == 0 || n < least {
			least = n
		}
		if n < int(s.wanted.Load()) && len(weak) < maxStrengthen {
			weak = append(weak, streams[i])
		}
	}
	s.least.Store(int32(least)) //nolint:gosec // at most 5
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weak = weak
}

// maxStrengthen is how many streams get more replicas after a count.
const maxStrengthen = 8

// strengthen gives streams that were made while a server was down the replicas
// that they lack. All nodes may try: it is the same change.
func (s *replicas) strengthen(ctx context.Context) {
	s.mu.Lock()
	weak := s.weak
	s.weak = nil
	s.mu.Unlock()
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
