package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Selection names packets that wait: of some states all that have these attributes, and
// some by id.
type Selection struct {
	States     []packet.State
	Attributes packet.Attributes
	IDs        []packet.ID
	// Name is a state as errors name it; nil is the state itself.
	Name func(packet.State) string
}

// ErrNotWaiting is a state or an id that no waiting packet has.
var ErrNotWaiting = errors.New("does not wait")

// A NotWaitingError names such states and ids.
type NotWaitingError struct{ Names []string }

func (e *NotWaitingError) Error() string {
	return fmt.Sprintf("%s: %v; 'pmk waiting --show' lists what does", strings.Join(e.Names, ", "), ErrNotWaiting)
}

func (e *NotWaitingError) Unwrap() error { return ErrNotWaiting }

// Retry sends the packets of a selection on their way again, and returns how
// many: one that failed gets its state back and goes to the seed that failed,
// any other is routed anew. They have all their attempts again. One that waits for its next
// attempt in the inbox of a seed has that now.
func (s *sorter) Retry(ctx context.Context, sel Selection) (int, error) {
	count, err := s.handle(ctx, sel, func(m *move, p *packet.Packet) error {
		if err := m.unfollow(p); err != nil {
			return err
		}
		queue := store.Waiting(p.State)
		if p.Fault != nil && p.State.Type() == packet.ErrorType {
			queue = store.Inbox(seed.Name(p.State.Name()))
			p.State, p.Fault = p.Fault.State, nil
			// The seed was probably mended: what it gives now is something else.
			p.Extra = p.Extra.NextRound()
		}
		p.DeadLetters, p.Attempt = 0, 0
		if _, inbox := queue.Seed(); !inbox {
			if to := s.snap.Load().dests(p); len(to) > 0 {
				m.put(p, m.lanesTo(p, to))
				return nil
			}
		}
		m.put(p, []lane{{queue: queue, rank: store.Descendant}})
		return nil
	})
	var missing *NotWaitingError
	if errors.As(err, &missing) {
		var hurried int
		if hurried, err = s.hurry(ctx, missing); hurried > 0 {
			count += hurried
		}
	}
	return count, err
}

// hurry has packets tried now that wait for their next attempt, of those that were not found
// among what waits for a seed. The error names those that were not found here either.
func (s *sorter) hurry(ctx context.Context, missing *NotWaitingError) (count int, err error) {
	able, ok := s.store.(store.Hurrier)
	if !ok {
		return 0, missing
	}
	queues, err := s.store.Queues(ctx)
	if err != nil {
		return 0, err
	}
	ids := map[packet.ID]bool{}
	for _, name := range missing.Names {
		if id, err := packet.ParseID(name); err == nil {
			ids[id] = true
		}
	}
	for _, c := range queues {
		if _, inbox := c.Queue.Seed(); !inbox || len(ids) == 0 {
			continue
		}
		_, err := able.Hurry(ctx, c.Queue, func(data []byte) bool {
			_, ps, err := packet.ParseFrame(data)
			found := false
			for i := range ps {
				if err == nil && ids[ps[i].ID] {
					delete(ids, ps[i].ID)
					found = true
					count++
				}
			}
			return found
		})
		if err != nil {
			return count, err
		}
	}
	names := slices.DeleteFunc(slices.Clone(missing.Names), func(name string) bool {
		id, err := packet.ParseID(name)
		return err == nil && !ids[id]
	})
	if len(names) > 0 {
		return count, &NotWaitingError{names}
	}
	return count, nil
}

// Drop ends the packets of a selection, and returns how many.
func (s *sorter) Drop(ctx context.Context, sel Selection) (int, error) {
	return s.handle(ctx, sel, (*move).unfollow)
}

// handle gives each packet of the selection to do, which says with the move where
// it goes; it is a copy, which do may change. It returns when they are where they
// are to be. The error names what was not found.
func (s *sorter) handle(ctx context.Context, sel Selection, do func(*move, *packet.Packet) error) (count int, err error) {
	s.entering.Add(1)
	defer s.entering.Add(-1)
	if s.running.Err() != nil {
		return 0, ErrDraining
	}
	s.holdLeft() // which needs what is held from here on
	_, done, err := s.alone()
	if err != nil {
		return 0, err
	}
	defer done()
	places, err := s.store.Queues(ctx)
	if err != nil {
		return 0, err
	}
	whole := map[packet.State]bool{}
	for _, state := range sel.States {
		whole[state] = true
	}
	ids := map[packet.ID]bool{}
	for _, id := range sel.IDs {
		ids[id] = true
	}
	// Whoever asked is told of it: one wait for the disk is for all of it.
	defer func() {
		if count > 0 {
			err = errors.Join(err, s.store.Commit(context.WithoutCancel(ctx), &store.Tx{Durable: true}))
		}
	}()
	for _, c := range places {
		state, ok := c.Queue.State()
		if !ok || !whole[state] && len(ids) == 0 {
			continue
		}
		found := map[packet.ID]bool{}
		k, err := s.handleState(ctx, state, c.Frames, func(p *packet.Packet) bool {
			if ids[p.ID] {
				found[p.ID] = true
			}
			return whole[state] && p.Attributes().Has(sel.Attributes) || ids[p.ID]
		}, do)
		count += k
		if err != nil {
			return count, err
		}
		if k > 0 {
			whole[state] = false
		}
		for id := range found {
			ids[id] = false
		}
	}
	return count, missing(sel, whole, ids)
}

// missing names what of the selection no packet had.
func missing(sel Selection, whole map[packet.State]bool, ids map[packet.ID]bool) error {
	var names []string
	for _, state := range sel.States {
		if whole[state] {
			name := string(state)
			if sel.Name != nil {
				name = sel.Name(state)
			}
			names = append(names, name)
		}
	}
	for _, id := range sel.IDs {
		if ids[id] {
			names = append(names, id.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &NotWaitingError{names}
}

// handleState does it to the packets of one state, in the oldest frames of that
// number: what comes back because it fails again is not retried once more.
func (s *sorter) handleState(ctx context.Context, state packet.State, frames int, match func(*packet.Packet) bool, do func(*move, *packet.Packet) error) (count int, err error) {
	s.hands.Lock()
	defer s.hands.Unlock()
	for f, err := range s.movable(ctx, store.Waiting(state), 0) {
		if err != nil {
			return count, err
		}
		if frames--; frames < 0 {
			break
		}
		k, err := s.handleFrame(ctx, f, match, do)
		count += k
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

func (s *sorter) handleFrame(ctx context.Context, f *found, match func(*packet.Packet) bool, do func(*move, *packet.Packet) error) (count int, err error) {
	m, ps := move{flow: s.flow, found: f}, f.packets
	for i := range ps {
		if !match(&ps[i]) {
			m.stay(&ps[i])
			continue
		}
		count++
		p := ps[i]
		if err := do(&m, &p); err != nil {
			return 0, err
		}
	}
	if count == 0 {
		return 0, nil
	}
	if err := m.commit(ctx); err != nil {
		return 0, err
	}
	return count, nil
}
