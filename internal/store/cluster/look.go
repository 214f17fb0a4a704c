package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// settleWait is how long a count waits for acknowledgements under way.
const settleWait = time.Second

// placeOf is the place of the group whose stream has this name, if any.
func (s *Store) placeOf(stream string) (store.Place, bool) {
	name, ok := strings.CutPrefix(stream, layout.GroupPrefix(s.cfg.Group))
	if !ok {
		return "", false
	}
	return layout.PlaceOf(name)
}

// Places counts what lies in every place. See [store.Store].
func (s *Store) Places(ctx context.Context) ([]store.Count, error) {
	if _, err := s.current(); err != nil {
		return nil, fmt.Errorf("count the places: %w", err)
	}
	s.settle(ctx, settleWait)
	streams, err := s.listAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the places: %w", s.asked(ctx, err))
	}
	var all []store.Count
	for _, st := range streams {
		if st.State.Msgs == 0 {
			continue
		}
		c, err := s.count(ctx, st.place, st.Config.Name)
		if err != nil {
			return nil, fmt.Errorf("count the frames of %s: %w", st.place, s.asked(ctx, err))
		}
		if c.Frames > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b store.Count) int { return cmp.Compare(a.Place, b.Place) })
	return all, nil
}

// listAll lists the streams of all places. One that elects a leader does not
// answer for a moment, and is waited for.
func (s *Store) listAll(ctx context.Context) ([]listed, error) {
	waits, cancel := s.within(ctx, appendWait)
	defer cancel()
	for {
		streams, err := s.streams(waits)
		if err == nil || waits.Err() != nil {
			return streams, err
		}
		select {
		case <-waits.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// count is what lies in one place; nothing if it was cleared meanwhile.
func (s *Store) count(ctx context.Context, at store.Place, name string) (store.Count, error) {
	calls, cancel := s.within(ctx, callWait)
	defer cancel()
	stream, err := s.js.Stream(calls, name)
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = stream.Info(calls, jetstream.WithSubjectFilter(layout.Filter(s.cfg.Group, at)))
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return store.Count{}, nil
	}
	if err != nil {
		return store.Count{}, err
	}
	return store.Count{
		Place: at, Since: info.State.FirstTime,
		Frames:  int(info.State.Msgs), //nolint:gosec // a count of what lies on a disk
		Packets: layout.Packets(info.State.Subjects),
		Bytes:   layout.Bytes(s.cfg.Group, at, info.State.Bytes, info.State.Msgs, layout.AroundFile),
	}, nil
}

// asked is what the caller is told of an error of the cluster: unless it gave
// up, why the cluster cannot be asked.
func (s *Store) asked(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.broken(err)
}

// Look shows the frames of a place. See [store.Store].
func (s *Store) Look(ctx context.Context, at store.Place, from uint64, visit func(store.Resting) bool) error {
	if _, err := s.current(); err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	p := s.place(at)
	if err := p.check(); err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	s.settle(ctx, settleWait)
	return s.look(ctx, at, from, func(r store.Resting) bool {
		return s.isEnding(key{at, r.Number}) || visit(r)
	})
}

// look shows all frames of a place, also those whose acknowledgement is on its
// way.
func (s *Store) look(ctx context.Context, at store.Place, from uint64, visit func(store.Resting) bool) error {
	calls, cancel := s.within(ctx, callWait)
	stream, err := s.js.Stream(calls, s.place(at).stream)
	cancel()
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	for next := max(from, 1); err == nil; {
		var msg *jetstream.RawStreamMsg
		calls, cancel := s.within(ctx, callWait)
		msg, err = stream.GetMsg(calls, next, jetstream.WithGetMsgSubject(layout.Filter(s.cfg.Group, at)))
		cancel()
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		if err != nil {
			break
		}
		next = msg.Sequence + 1
		if !visit(store.Resting{Number: msg.Sequence, Data: msg.Data, Since: msg.Time}) {
			return nil
		}
	}
	return fmt.Errorf("look at %s: %w", at, s.asked(ctx, err))
}

func (s *Store) isEnding(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leases.ending[k] != nil
}

// Remove takes a frame out of a place. See [store.Store].
func (s *Store) Remove(ctx context.Context, at store.Place, number uint64) error {
	if _, err := s.current(); err != nil {
		return fmt.Errorf("remove frame %d of %s: %w", number, at, err)
	}
	p := s.place(at)
	if err := p.check(); err != nil {
		return fmt.Errorf("remove frame %d of %s: %w", number, at, err)
	}
	if err := s.remove(ctx, p, number); err != nil {
		return fmt.Errorf("remove frame %d of %s: %w", number, at, s.asked(ctx, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases.held[key{at, number}]; l != nil {
		_ = l.end() // whatever its holder says of it now has no meaning
	}
	s.room.doubt()
	return nil
}

// remove deletes a frame; it is no error if there is none.
func (s *Store) remove(ctx context.Context, p *place, number uint64) error {
	ctx, cancel := s.within(ctx, callWait)
	defer cancel()
	stream, err := s.js.Stream(ctx, p.stream)
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

// Clear deletes a place's stream. See [store.Store].
func (s *Store) Clear(ctx context.Context, at store.Place) error {
	if _, err := s.current(); err != nil {
		return fmt.Errorf("clear %s: %w", at, err)
	}
	p := s.place(at)
	if err := p.check(); err != nil {
		return fmt.Errorf("clear %s: %w", at, err)
	}
	p.make.Lock()
	defer p.make.Unlock()
	calls, cancel := s.within(ctx, callWait)
	defer cancel()
	if err := s.js.DeleteStream(calls, p.stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("clear %s: %w", at, s.asked(ctx, err))
	}
	p.made, p.pulled = false, false
	s.room.doubt()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.leases.asked {
		if e.key.at == at {
			s.ended(e) // another frame may get its number
		}
	}
	for k, l := range s.leases.held {
		if k.at == at {
			_ = l.end() // as above
		}
	}
	return nil
}
