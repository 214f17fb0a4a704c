// Package memory is a store in memory: it survives the crash of a seed, not
// the end of the node.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Config says how much a store holds.
type Config struct {
	// Size is how many bytes roots may take; 0 is without a bound, for
	// descendants as well.
	Size int64
	// Reserve is how many more descendants may take.
	Reserve int64
}

// frameCost is about what a frame takes beside its data; without it, frames of
// a few bytes would take many times a store's size.
const frameCost = 256

var errClosed = errors.New("the store is closed")

// A Store is a [store.Store] in memory. It has no goroutines; one lock is over
// everything, and nothing is done under it that takes time.
type Store struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	used   int64
	number uint64                 // the last that a frame got, in any place
	places map[store.Place]*place // those with frames or pulls that wait
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
func New(cfg Config) *Store {
	return &Store{cfg: cfg, places: map[store.Place]*place{}}
}

// Promise says that frames survive nothing.
func (s *Store) Promise() store.Promise { return store.Promise{} }

// room says whether n more bytes fit. The caller holds the lock.
func (s *Store) room(n int64, r store.Rank) error {
	size := s.cfg.Size
	if r != store.Root {
		size += s.cfg.Reserve
	}
	switch {
	case s.closed:
		return errClosed
	case s.cfg.Size > 0 && s.used+n > size:
		return store.ErrFull
	}
	return nil
}

// Append puts a copy of the frame at the end of a place.
func (s *Store) Append(ctx context.Context, to store.Place, f store.Frame) error {
	err := ctx.Err()
	if err == nil {
		err = to.Check()
	}
	if err == nil {
		err = store.CheckFrame(f)
	}
	if err == nil {
		err = s.append(to, f)
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	return nil
}

func (s *Store) append(to store.Place, f store.Frame) error {
	n := int64(len(f.Data)) + frameCost
	// Room is taken before the copy, which is made without the lock.
	s.mu.Lock()
	err := s.room(n, f.Rank)
	if err == nil {
		s.used += n
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	fr := &frame{data: bytes.Clone(f.Data), packets: f.Packets, since: time.Now()}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.number++
	fr.number = s.number
	p := s.place(to)
	p.add(fr)
	p.wake()
	return nil
}

// place is the place of that name, which is made if need be. The caller holds
// the lock, and calls tidy when it may have left the place empty.
func (s *Store) place(name store.Place) *place {
	p := s.places[name]
	if p == nil {
		p = newPlace(s, name)
		s.places[name] = p
	}
	return p
}

// tidy forgets an empty place. The caller holds the lock.
func (s *Store) tidy(p *place) {
	if len(p.frames) == 0 && p.pulls == 0 {
		p.stop()
		delete(s.places, p.name)
	}
}

// drop takes a frame out of its place. The caller holds the lock.
func (s *Store) drop(p *place, f *frame) {
	p.drop(f)
	s.used -= int64(len(f.data)) + frameCost
	s.tidy(p)
}

// Pull leases frames, and waits for the first.
func (s *Store) Pull(ctx context.Context, from store.Place, most int) ([]store.Lease, error) {
	leases, err := s.pull(ctx, from, most)
	if err != nil {
		return nil, fmt.Errorf("pull from %s: %w", from, err)
	}
	return leases, nil
}

func (s *Store) pull(ctx context.Context, from store.Place, most int) ([]store.Lease, error) {
	if most < 1 {
		return nil, fmt.Errorf("at most %d frames were asked for; expected 1 or more", most)
	}
	if err := from.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	p := s.place(from)
	leases := p.take(most)
	if len(leases) == 0 {
		leases = s.wait(ctx, p, most)
	}
	// Whether this pull took what it was woken for or gives up: if there is
	// something left, it is the next one's turn.
	p.wake()
	s.tidy(p)
	switch {
	case len(leases) > 0:
		return leases, nil
	case s.closed:
		return nil, errClosed
	}
	return nil, ctx.Err()
}

// wait takes frames as soon as there are any; none when ctx or the store ended.
// The caller holds the lock, which is given up meanwhile.
func (s *Store) wait(ctx context.Context, p *place, most int) []store.Lease {
	w := make(waiter, 1)
	p.waiters = append(p.waiters, w)
	p.pulls++
	defer func() { p.pulls-- }()
	for {
		s.mu.Unlock()
		select {
		case <-w:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if s.closed || ctx.Err() != nil {
			p.leave(w)
			return nil
		}
		if leases := p.take(most); len(leases) > 0 {
			return leases
		}
		p.waiters = slices.Insert(p.waiters, 0, w) // somebody was faster; it keeps its turn
	}
}

// Places counts what lies in every place.
func (s *Store) Places(ctx context.Context) ([]store.Count, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	var counts []store.Count
	for _, p := range s.places {
		if len(p.frames) > 0 {
			counts = append(counts, p.count())
		}
	}
	slices.SortFunc(counts, func(a, b store.Count) int { return strings.Compare(string(a.Place), string(b.Place)) })
	return counts, ctx.Err()
}

// Look shows the frames that are there when it is called.
func (s *Store) Look(ctx context.Context, at store.Place, from uint64, visit func(store.Resting) bool) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	var frames []*frame
	if p := s.places[at]; p != nil {
		frames = p.all()
	}
	s.mu.Unlock()
	for _, f := range frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.number < from {
			continue
		}
		// Number, data and since of a frame never change.
		if !visit(store.Resting{Number: f.number, Data: bytes.Clone(f.data), Since: f.since}) {
			return nil
		}
	}
	return nil
}

// Remove takes a frame out of a place.
func (s *Store) Remove(ctx context.Context, at store.Place, number uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if p := s.places[at]; p != nil {
		if f := p.frames[number]; f != nil {
			s.drop(p, f)
		}
	}
	return nil
}

// Clear takes all frames out of a place.
func (s *Store) Clear(ctx context.Context, at store.Place) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if p := s.places[at]; p != nil {
		for _, f := range p.all() {
			s.drop(p, f)
		}
	}
	return nil
}

// State tells how full the store is.
func (s *Store) State() store.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := store.State{Used: s.used, Size: s.cfg.Size, Reserve: s.cfg.Reserve}
	if s.closed {
		state.Err = errClosed
	}
	return state
}

// Close ends the store and all that is in it. Pulls that wait end.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, p := range s.places {
		p.stop()
		for _, w := range p.waiters {
			w <- struct{}{}
		}
		p.waiters = nil
	}
	s.places, s.used = nil, 0
	return nil
}
