package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A key is one frame of the store.
type key struct {
	at     store.Place
	number uint64
}

// A lease is one frame that somebody here works on. Nothing has to renew it: who
// could hold it after the process died?
type lease struct {
	line       *line
	number     uint64
	data       []byte
	deliveries int
	over       bool // guarded by the store's lock
}

var errOver = errors.New("the lease is over")

func (l *lease) Data() []byte    { return l.data }
func (l *lease) Number() uint64  { return l.number }
func (l *lease) Deliveries() int { return l.deliveries }

// Ack ends the lease and the frame.
func (l *lease) Ack() error {
	s := l.line.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := l.finish(); err != nil {
		return err
	}
	size := int64(len(l.data))
	s.tally.end(key{l.line.at, l.number})
	s.room.give(size)
	l.line.end(l.number, size)
	return nil
}

// Release gives the frame back.
func (l *lease) Release(after time.Duration) error {
	s := l.line.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := l.finish(); err != nil {
		return err
	}
	l.line.release(l.number, after)
	return nil
}

// finish ends the lease, once. The lock is held.
func (l *lease) finish() error {
	if l.over {
		err := errOver
		if errors.Is(l.line.s.down, ErrClosed) {
			err = ErrClosed
		}
		return fmt.Errorf("frame %d of %s: %w", l.number, l.line.at, err)
	}
	l.over = true
	delete(l.line.held, l.number)
	return nil
}

// endLeases ends whatever is held, at the end.
func (s *Store) endLeases() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		l.stop()
		for _, lease := range l.held {
			lease.over = true
		}
		clear(l.held)
	}
}

// maxUnconfirmed bounds what is acknowledged and not yet taken out of the server,
// in bytes of frames, before more is pulled. The server removes frames more slowly
// than it stores them, and a crash runs all of it again.
const maxUnconfirmed = 8 << 20

// awaitConfirmed waits while too much is acknowledged and not yet taken out.
func (s *Store) awaitConfirmed(ctx context.Context) error {
	for {
		s.mu.Lock()
		if s.unconfirmed <= maxUnconfirmed || errors.Is(s.down, ErrClosed) {
			s.mu.Unlock()
			return ctx.Err()
		}
		if s.fewer == nil {
			s.fewer = make(chan struct{})
		}
		fewer := s.fewer
		s.mu.Unlock()
		select {
		case <-fewer:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return nil
		}
	}
}

// confirmed counts a frame that was taken out of the server. The lock is held.
func (s *Store) confirmed(e ended) {
	s.endings--
	s.unconfirmed -= e.weight()
	if s.fewer != nil && s.unconfirmed <= maxUnconfirmed/2 {
		close(s.fewer)
		s.fewer = nil
	}
}

// settle waits until everything that was acknowledged is taken out, but not longer
// than most.
func (s *Store) settle(ctx context.Context, eng *engine, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	s.mu.Lock()
	s.settling++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.settling--
		s.mu.Unlock()
	}()
	for wait := 50 * time.Microsecond; eng.alive(); wait = min(2*wait, 10*time.Millisecond) {
		s.mu.Lock()
		left := s.endings
		s.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-eng.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
