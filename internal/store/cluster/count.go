package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A counter counts what lies in the cluster, again and again.
type counter struct {
	queues
	space  *space
	misses int // how many counts in a row have failed; under mu

	counting sync.Mutex // held while somebody counts
	counted  time.Time  // guarded by counting
}

const (
	// countEvery is how often the frames of all nodes are counted, and
	// countShare which part of the time a node may spend on it; but a cluster that
	// was slow once is not left alone for longer than countLongest.
	countEvery   = time.Second
	countShare   = 20
	countLongest = 10 * time.Second
	// recountAfter is how soon somebody who would be refused counts again.
	recountAfter = 100 * time.Millisecond
)

// reserveSpace reserves space for frames. Who would be refused for what may not be so
// counts first.
func (s *counter) reserveSpace(ctx context.Context, roots, all int64) error {
	sure, err := s.space.book(roots, all)
	if err == nil || sure {
		return err
	}
	s.counting.Lock()
	wait := recountAfter - time.Since(s.counted)
	s.counting.Unlock()
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return store.ErrClosed
		}
	}
	if err := s.recount(ctx); err != nil {
		return s.unanswered(ctx, err)
	}
	_, err = s.space.book(roots, all)
	return err
}

// recount asks the cluster what lies in the queues of the group. Of several at
// a time one asks.
func (s *counter) recount(ctx context.Context) error {
	s.counting.Lock()
	defer s.counting.Unlock()
	if time.Since(s.counted) < recountAfter {
		return nil
	}
	s.space.begin()
	streams, err := s.listStreams(ctx)
	if err != nil {
		return err
	}
	configs, err := s.buckets(ctx)
	if err != nil {
		return err
	}
	var bytes int64
	for _, st := range streams {
		configs = append(configs, st.Config)
		bytes += frameBytes(s.cfg.Group, st.queue, st.State.Bytes, st.State.Msgs)
	}
	s.noteReplicas(configs)
	s.space.end(bytes)
	s.counted = time.Now()
	return nil
}

// watch counts what lies in the store, and notices whether the cluster works.
func (s *counter) watch() {
	timer := time.NewTimer(countEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		}
		start := time.Now()
		err := s.recount(s.ctx)
		if s.ctx.Err() != nil {
			return
		}
		s.judge(err)
		s.strengthen(s.ctx)
		timer.Reset(min(max(countEvery, time.Since(start)*countShare), countLongest))
	}
}

// judge notes what the last count said of the cluster.
func (s *counter) judge(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.nc.IsConnected(): // the connection's handlers said why
	case err != nil:
		// A stream that elects a leader does not answer for a moment.
		if s.misses++; s.misses < maxMisses {
			return
		}
		if s.down == nil {
			s.log.Warn("the store does not answer as it should", "error", err)
		}
		s.down = fmt.Errorf("the NATS server at %s: %w; most of the cluster's servers have to run", Redacted(s.nc.ConnectedUrl()), err)
	default:
		s.down, s.misses = nil, 0
	}
}

// maxMisses is how many counts in a row fail before the store is said to be
// broken.
const maxMisses = 3
