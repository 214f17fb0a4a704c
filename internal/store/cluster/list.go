package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
)

// A listed is a stream that is the group's.
type listed struct {
	jetstream.StreamInfo
	queue store.Queue
}

// listStreams lists the streams of the group's queues. One that does not answer is
// an error.
func (s *queues) listStreams(ctx context.Context) ([]listed, error) {
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
func (s *queues) buckets(ctx context.Context) (all []jetstream.StreamConfig, err error) {
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
			s.clock.set(info.TimeStamp)
		}
	}
	return all, nil
}

// queueOf is the queue of the group whose stream has this name, if any.
func (s *queues) queueOf(stream string) (store.Queue, bool) {
	name, ok := strings.CutPrefix(stream, groupPrefix(s.cfg.Group))
	if !ok {
		return "", false
	}
	return queueOf(name)
}
