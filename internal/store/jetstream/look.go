package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// settleWait is how long a count waits for acknowledgements under way.
const settleWait = time.Second

// Places counts what lies in every place. See [store.Store].
func (s *Store) Places(ctx context.Context) ([]store.Count, error) {
	eng, _, err := s.current()
	if err != nil {
		return nil, fmt.Errorf("count the places: %w", err)
	}
	s.settle(ctx, eng, settleWait)
	counts, err := eng.counts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the places: %w", err)
	}
	return counts, nil
}

// counts are what lies in every place that is not empty.
func (e *engine) counts(ctx context.Context) ([]store.Count, error) {
	streams, err := e.streams(ctx)
	if err != nil {
		return nil, err
	}
	var all []store.Count
	for at, stream := range streams {
		info, err := e.info(ctx, stream, withCounts)
		if errors.Is(err, errNoPlace) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c := e.countOf(at, info); c.Frames > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b store.Count) int { return cmp.Compare(a.Place, b.Place) })
	return all, nil
}

// countOf reads a count from a stream's state.
func (e *engine) countOf(at store.Place, info *server.StreamInfo) store.Count {
	around := layout.AroundMemory
	if e.kind == server.FileStorage {
		around = layout.AroundFile
	}
	return store.Count{
		Place: at, Since: info.State.FirstTime,
		Frames:  int(info.State.Msgs), //nolint:gosec // a count of what lies on a disk
		Packets: layout.Packets(info.State.Subjects),
		Bytes:   layout.Bytes(e.group, at, info.State.Bytes, info.State.Msgs, around),
	}
}

// Look shows the frames of a place. See [store.Store].
func (s *Store) Look(ctx context.Context, at store.Place, from uint64, visit func(store.Resting) bool) error {
	eng, _, err := s.current()
	if err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	if ok, err := eng.exists(ctx, eng.place(at)); err != nil || !ok {
		if err != nil {
			return fmt.Errorf("look at %s: %w", at, err)
		}
		return nil
	}
	s.settle(ctx, eng, settleWait)
	for next := max(from, 1); ; {
		r, err := eng.get(ctx, at, next, true)
		if errors.Is(err, errNoFrame) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", at, err)
		}
		next = r.Number + 1
		if !s.isEnding(key{at, r.Number}) && !visit(r) {
			return nil
		}
	}
}

func (s *Store) isEnding(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[k.at]
	if l == nil {
		return false
	}
	_, ending := l.done[k.number]
	return ending
}

// errNoFrame is a number that no frame has.
var errNoFrame = errors.New("no such frame")

// get reads the frame with this number, or, if later, the first from there on.
func (e *engine) get(ctx context.Context, at store.Place, number uint64, later bool) (store.Resting, error) {
	req := fmt.Appendf(nil, `{"seq":%d}`, number)
	if later {
		req = fmt.Appendf(nil, `{"seq":%d,"next_by_subj":">"}`, number)
	}
	msg, err := e.ask(ctx, e.reader, "$JS.API.DIRECT.GET."+layout.StreamName(at), req)
	if errors.Is(err, nats.ErrNoResponders) {
		return store.Resting{}, errNoFrame // no such place
	}
	if err != nil {
		return store.Resting{}, err
	}
	if status := msg.Header.Get("Status"); status != "" {
		if status == "404" {
			return store.Resting{}, errNoFrame
		}
		return store.Resting{}, fmt.Errorf("read frame %d: the server answers %s %s", number, status, msg.Header.Get("Description"))
	}
	return resting(msg)
}

// resting is a frame as the server sends it to who looks.
func resting(msg *nats.Msg) (r store.Resting, err error) {
	r.Data = msg.Data
	if r.Number, err = strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64); err != nil {
		return r, fmt.Errorf("a frame without a number: %w", err)
	}
	if r.Since, err = time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp")); err != nil {
		return r, fmt.Errorf("the time of frame %d: %w", r.Number, err)
	}
	return r, nil
}

// Remove takes a frame out of a place. See [store.Store].
func (s *Store) Remove(ctx context.Context, at store.Place, number uint64) error {
	eng, _, err := s.current()
	if err != nil {
		return fmt.Errorf("remove frame %d of %s: %w", number, at, err)
	}
	s.mu.Lock()
	var held *lease
	if l := s.lines[at]; l != nil {
		held = l.held[number]
	}
	s.mu.Unlock()
	if held != nil {
		// As if its holder had acknowledged it.
		_ = held.Ack()
		s.settle(ctx, eng, settleWait)
		return nil
	}
	r, err := eng.get(ctx, at, number, false)
	if errors.Is(err, errNoFrame) {
		return nil
	}
	if err == nil {
		err = eng.remove(ctx, at, number)
	}
	if err != nil {
		return fmt.Errorf("remove frame %d of %s: %w", number, at, err)
	}
	s.mu.Lock()
	s.tally.end(key{at, number})
	s.line(at).removed(number)
	s.mu.Unlock()
	s.room.give(int64(len(r.Data)))
	return nil
}

// Clear deletes a place's stream. See [store.Store].
func (s *Store) Clear(ctx context.Context, at store.Place) error {
	eng, _, err := s.current()
	if err != nil {
		return fmt.Errorf("clear %s: %w", at, err)
	}
	if err := at.Check(); err != nil {
		return fmt.Errorf("clear %s: %w", at, err)
	}
	p := eng.place(at)
	p.make.Lock()
	defer p.make.Unlock()
	var resp server.JSApiStreamDeleteResponse
	if err = eng.call(ctx, "$JS.API.STREAM.DELETE."+p.stream, nil, &resp); err == nil {
		err = apiError(resp.Error)
	}
	if err != nil && !isCode(err, server.JSStreamNotFoundErr) {
		return fmt.Errorf("clear %s: %w", at, err)
	}
	p.made = false
	s.mu.Lock()
	s.tally.clear(at)
	if l := s.lines[at]; l != nil {
		l.forget()
	}
	s.mu.Unlock()
	s.room.doubt.Store(true) // what it held is counted anew
	return nil
}

// remove deletes a frame; it is no error if there is none.
func (e *engine) remove(ctx context.Context, at store.Place, number uint64) error {
	var resp server.JSApiMsgDeleteResponse
	req := server.JSApiMsgDeleteRequest{Seq: number, NoErase: true}
	if err := e.call(ctx, "$JS.API.STREAM.MSG.DELETE."+layout.StreamName(at), req, &resp); err != nil {
		return err
	}
	err := apiError(resp.Error)
	if err == nil || isCode(err, server.JSStreamNotFoundErr, server.JSNoMessageFoundErr, server.JSSequenceNotFoundErrF) {
		return nil
	}
	if isCode(err, server.JSStreamMsgDeleteFailedF) {
		if _, gone := e.get(ctx, at, number, false); errors.Is(gone, errNoFrame) {
			return nil
		}
	}
	return err
}
