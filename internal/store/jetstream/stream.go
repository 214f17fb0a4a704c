package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// duplicates is the window in which the server looks for equal ids. Frames carry
// none; this is the least it can be.
const duplicates = 100 * time.Millisecond

// errNoPlace is a place that does not exist.
var errNoPlace = errors.New("no such place")

// ensure makes the place's stream, once.
func (e *engine) ensure(ctx context.Context, p *place) error {
	p.make.Lock()
	defer p.make.Unlock()
	if p.made {
		return nil
	}
	// One that is there stays as it was made.
	if _, err := e.info(ctx, p.stream, noDetails); !errors.Is(err, errNoPlace) {
		p.made = err == nil
		return err
	}
	cfg := server.StreamConfig{
		Name:        p.stream,
		Subjects:    []string{layout.Filter(e.group, p.name)},
		Retention:   server.WorkQueuePolicy,
		Discard:     server.DiscardNew,
		Storage:     e.kind,
		Replicas:    1,
		FirstSeq:    p.first,
		MaxMsgs:     -1,
		MaxBytes:    -1,
		MaxMsgSize:  -1,
		MaxMsgsPer:  -1,
		Duplicates:  duplicates,
		AllowDirect: true, // looking at frames without encoding them as text
	}
	var resp server.JSApiStreamCreateResponse
	if err := e.call(ctx, "$JS.API.STREAM.CREATE."+p.stream, cfg, &resp); err != nil {
		return err
	}
	if err := apiError(resp.Error); err != nil {
		return fmt.Errorf("make the stream: %w", err)
	}
	p.made = true
	return nil
}

// exists tells whether the place's stream is there.
func (e *engine) exists(ctx context.Context, p *place) (bool, error) {
	p.make.Lock()
	defer p.make.Unlock()
	if p.made {
		return true, nil
	}
	_, err := e.info(ctx, p.stream, noDetails)
	switch {
	case err == nil:
		p.made = true
		return true, nil
	case errors.Is(err, errNoPlace):
		return false, nil
	}
	return false, err
}

// What info can tell beside the state of a stream: how many messages each of its
// subjects has, and the numbers of those that are gone.
var (
	noDetails   = server.JSApiStreamInfoRequest{}
	withCounts  = server.JSApiStreamInfoRequest{SubjectsFilter: ">"}
	withDeleted = server.JSApiStreamInfoRequest{DeletedDetails: true}
)

// info is the state of a stream.
func (e *engine) info(ctx context.Context, stream string, req server.JSApiStreamInfoRequest) (*server.StreamInfo, error) {
	var resp server.JSApiStreamInfoResponse
	if err := e.call(ctx, "$JS.API.STREAM.INFO."+stream, req, &resp); err != nil {
		return nil, err
	}
	if err := apiError(resp.Error); err != nil {
		if isCode(err, server.JSStreamNotFoundErr) {
			return nil, errNoPlace
		}
		return nil, err
	}
	return resp.StreamInfo, nil
}

// streams are the names of all places that exist.
func (e *engine) streams(ctx context.Context) (map[store.Place]string, error) {
	all := map[store.Place]string{}
	for offset := 0; ; {
		var resp server.JSApiStreamNamesResponse
		req := map[string]int{"offset": offset}
		if err := e.call(ctx, "$JS.API.STREAM.NAMES", req, &resp); err != nil {
			return nil, err
		}
		if err := apiError(resp.Error); err != nil {
			return nil, err
		}
		for _, name := range resp.Streams {
			if at, ok := layout.PlaceOf(name); ok {
				all[at] = name
			}
		}
		offset += len(resp.Streams)
		if len(resp.Streams) == 0 || offset >= resp.Total {
			return all, nil
		}
	}
}
