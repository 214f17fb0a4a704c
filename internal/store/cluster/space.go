package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// leastReserve is the least that descendants have beyond the size.
	leastReserve = 1 << 30
	// countEvery is how often the frames of all nodes are counted, and
	// countShare which part of the time a node may spend on it; but a cluster that
	// was slow once is not left alone for longer than countLongest.
	countEvery   = time.Second
	countShare   = 20
	countLongest = 10 * time.Second
	// recountAfter is how soon somebody who would be refused counts again.
	recountAfter = 100 * time.Millisecond
)

// room is what frames take, and who may take more. It is counted by the
// cluster at times, and here what this node does in between.
//
// Invariant: used is never less than what the cluster had at the last count
// and this node has appended since.
type room struct {
	size, reserve int64

	mu     sync.Mutex
	used   int64
	moving int64 // bytes of appends under way
	since  int64 // bytes of appends that ended while a count is under way
	moved  bool  // something happened during the last count: used may be too much

	counting sync.Mutex // held while somebody counts
	counted  time.Time  // guarded by counting
	// weak are streams with too few replicas, as of the last count; guarded by
	// counting.
	weak []jetstream.StreamConfig
}

func newRoom(size, reserve int64) *room {
	r := &room{size: size, reserve: reserve}
	if size > 0 && reserve == 0 {
		r.reserve = max(size/5, leastReserve)
	}
	return r
}

func (r *room) amount() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// doubt has the next who would be refused count first.
func (r *room) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = true
}

// take reserves bytes for frames, so many of them for roots. If there is no room
// and the count may be wrong, sure is false.
func (r *room) take(roots, all int64) (sure bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size > 0 {
		limit := int64(-1)
		switch {
		case roots > 0 && r.used+roots > r.size:
			limit = r.size
		case r.used+all > r.size+r.reserve:
			limit = r.size + r.reserve
		}
		if limit >= 0 {
			return !r.moved && r.moving == 0, fmt.Errorf("%w: %d bytes of %d are used", store.ErrFull, r.used, limit)
		}
	}
	r.used += all
	r.moving += all
	return true, nil
}

// finished ends what take began. What may have been stored is counted later.
func (r *room) finished(n int64, stored bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moving -= n
	r.since += n
	if !stored {
		r.moved = true
	}
}

// gone notes that n bytes were acknowledged or removed here.
func (r *room) gone(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = max(r.used-n, 0)
	r.moved = true
}

// begin starts a count, and end takes its result: what was on its way meanwhile
// may be in it or not.
func (r *room) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.moved = 0, false
}

func (r *room) end(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = bytes + r.moving + r.since
	r.moved = r.moved || r.moving+r.since > 0
}

// take reserves room for frames. Who would be refused for what may not be so
// counts first.
func (s *Store) take(ctx context.Context, roots, all int64) error {
	sure, err := s.room.take(roots, all)
	if err == nil || sure {
		return err
	}
	s.room.counting.Lock()
	rest := recountAfter - time.Since(s.room.counted)
	s.room.counting.Unlock()
	if rest > 0 {
		timer := time.NewTimer(rest)
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
		return s.asked(ctx, err)
	}
	_, err = s.room.take(roots, all)
	return err
}

// recount asks the cluster what lies in the queues of the group. Of several at
// a time one asks.
func (s *Store) recount(ctx context.Context) error {
	s.room.counting.Lock()
	defer s.room.counting.Unlock()
	if time.Since(s.room.counted) < recountAfter {
		return nil
	}
	s.room.begin()
	streams, err := s.streams(ctx)
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
	s.room.end(bytes)
	s.room.counted = time.Now()
	return nil
}

// A listed is a stream that is the group's.
type listed struct {
	jetstream.StreamInfo
	queue store.Queue
}

// streams lists the streams of the group's queues. One that does not answer is
// an error.
func (s *Store) streams(ctx context.Context) ([]listed, error) {
	ctx, cancel := s.within(ctx, 2*callWait)
	defer cancel()
	var all []listed
	for offset := 0; ; {
		req := fmt.Appendf(nil, `{"offset":%d,"subject":"pmk.%s.>"}`, offset, s.cfg.Group)
		msg, err := s.nc.RequestWithContext(ctx, "$JS.API.STREAM.LIST", req)
		if err != nil {
			return nil, fmt.Errorf("list the streams: %w", err)
		}
		var resp struct {
			Error   *jetstream.APIError     `json:"error"`
			Total   int                     `json:"total"`
			Streams []*jetstream.StreamInfo `json:"streams"`
			Missing []string                `json:"missing"`
		}
		if err := json.Unmarshal(msg.Data, &resp); err != nil {
			return nil, fmt.Errorf("list the streams: %w", err)
		}
		if resp.Error != nil {
			return nil, fmt.Errorf("list the streams: %w", resp.Error)
		}
		if len(resp.Missing) > 0 {
			return nil, fmt.Errorf("list the streams: %d of them do not answer", len(resp.Missing))
		}
		for _, info := range resp.Streams {
			if at, ok := s.queueOf(info.Config.Name); ok {
				all = append(all, listed{*info, at})
			}
		}
		offset += len(resp.Streams)
		if len(resp.Streams) == 0 || offset >= resp.Total {
			return all, nil
		}
	}
}

// buckets asks about the streams that are not queues, and what time it is in the
// cluster.
func (s *Store) buckets(ctx context.Context) (all []jetstream.StreamConfig, err error) {
	ctx, cancel := s.within(ctx, 2*callWait)
	defer cancel()
	for _, name := range []string{"KV_pmk_%s_locks", "KV_pmk_%s_large", "OBJ_pmk_%s_data", "KV_pmk_%s_records"} {
		name = fmt.Sprintf(name, s.cfg.Group)
		stream, err := s.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("ask about the stream %s: %w", name, err)
		}
		info := stream.CachedInfo()
		all = append(all, info.Config)
		if !info.TimeStamp.IsZero() { // older servers do not tell
			s.clock.Store(&clock{here: time.Now(), there: info.TimeStamp})
		}
	}
	return all, nil
}

// watch counts what lies in the store, and notices whether the cluster works.
func (s *Store) watch() {
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

// judge keeps what the last count said of the cluster.
func (s *Store) judge(err error) {
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
