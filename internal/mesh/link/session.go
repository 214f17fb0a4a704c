package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A session is one watch and all that is done under it.
type session struct {
	server *Server
	id     packet.ID
	who    Hello
	ctx    context.Context
	cancel context.CancelFunc
	stop   func() bool
	store  mesh.Served

	mu     sync.Mutex
	stream bool // there is a stream of frames
	pulls  map[uint64]*pull
	leased int
}

// A pull is one that waits or whose leases are not all decided.
//
// Invariant: leases that the puller was told of, or will be, are in the table
// before it is told, and leave it when they are decided. So a cancel finds all
// of them, or finds the pull still waiting.
type pull struct {
	cancel    context.CancelFunc
	cancelled bool
	leases    []store.Lease // nil where it is decided
	left      int
}

// begin enters a pull that waits.
func (s *session) begin(m message) (context.Context, *pull, error) {
	if err := m.place.Check(); err != nil {
		return nil, nil, err
	}
	if m.most < 1 || m.most > maxMost {
		return nil, nil, fmt.Errorf("at most %d frames were asked for; expected 1 to %d", m.most, maxMost)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pulls[m.pull] != nil:
		return nil, nil, fmt.Errorf("pull %d is open already", m.pull)
	case s.leased >= maxLeases:
		return nil, nil, s.tooMany()
	}
	ctx, cancel := context.WithCancel(s.ctx)
	p := &pull{cancel: cancel}
	s.pulls[m.pull] = p
	return ctx, p, nil
}

// enter puts what a pull got into the table. It says no when nobody waits for it
// any more, or when there would be too many leases; they are to be given back
// then.
func (s *session) enter(id uint64, p *pull, leases []store.Lease) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p.cancelled:
		delete(s.pulls, id)
		return false, nil
	case s.leased+len(leases) > maxLeases:
		delete(s.pulls, id)
		return false, s.tooMany()
	case len(leases) == 0:
		delete(s.pulls, id)
		return true, nil
	}
	p.leases, p.left = leases, len(leases)
	s.leased += len(leases)
	return true, nil
}

// resume takes up leases of earlier sessions, under the number of a pull. It gives
// the indices of those that have ended.
func (s *session) resume(ctx context.Context, id uint64, frames []store.Ref) (lapsed []uint16, err error) {
	for _, f := range frames {
		if err := f.At.Check(); err != nil {
			return nil, err
		}
	}
	leases, err := s.store.Resume(ctx, frames)
	if err != nil {
		return nil, err
	}
	left := 0
	for i, l := range leases {
		if l == nil {
			lapsed = append(lapsed, uint16(i)) //nolint:gosec // at most maxLeases
		} else {
			left++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case left == 0:
		return lapsed, nil
	case s.pulls[id] != nil:
		return nil, fmt.Errorf("pull %d is open already", id)
	case s.leased+left > maxLeases:
		return nil, s.tooMany()
	}
	s.pulls[id] = &pull{cancel: func() {}, leases: leases, left: left}
	s.leased += left
	return lapsed, nil
}

// tooMany is the error for leases beyond the bound. The caller holds the lock.
func (s *session) tooMany() error {
	return fmt.Errorf("%d leases are open, of at most %d; decide some first", s.leased, maxLeases)
}

// void cancels a pull and gives back what it got.
func (s *session) void(id uint64) {
	s.mu.Lock()
	p := s.pulls[id]
	if p == nil {
		s.mu.Unlock()
		return // it has failed
	}
	p.cancelled = true
	back := p.leases
	if back != nil {
		s.leased -= p.left
		delete(s.pulls, id)
	}
	s.mu.Unlock()
	p.cancel()
	s.giveBack(back)
}

// giveBack releases leases that nobody was told of.
func (s *session) giveBack(leases []store.Lease) {
	for _, l := range leases {
		if l == nil {
			continue
		}
		if err := l.Release(0); err != nil {
			s.complain("release", err)
		}
	}
}

// decide ends one lease. One that is not there has ended already.
func (s *session) decide(m message) {
	s.mu.Lock()
	p := s.pulls[m.pull]
	var l store.Lease
	if p != nil && int(m.index) < len(p.leases) {
		l = p.leases[m.index]
	}
	if l == nil {
		s.mu.Unlock()
		return
	}
	p.leases[m.index] = nil
	p.left--
	s.leased--
	if p.left == 0 {
		delete(s.pulls, m.pull)
	}
	s.mu.Unlock()

	var err error
	switch m.kind {
	case msgAck:
		err = l.Ack()
	case msgRelease:
		err = l.Release(m.after)
	case msgSpoil:
		err = spoil(l)
	}
	if err != nil && !errors.Is(err, store.ErrLapsed) {
		s.complain("end a lease", err)
	}
}

// spoilDelay is how long a spoiled frame stays away where its owner cannot set
// it aside.
const spoilDelay = 10 * time.Second

func spoil(l store.Lease) error {
	if s, ok := l.(mesh.Spoiled); ok {
		return s.Spoil()
	}
	return l.Release(spoilDelay)
}

// complain logs what a peer cannot be told.
func (s *session) complain(what string, err error) {
	if s.ctx.Err() == nil {
		s.server.log.Warn("cannot "+what+" for a node", "node", s.who.Node, "error", err)
	}
}

// failure is an error as a message.
func failure(err error) []byte {
	p, _ := problemOf(err)
	text, encErr := json.Marshal(p)
	if encErr != nil || len(text) > maxProblem {
		text, _ = json.Marshal(problem{Kind: p.Kind, Detail: "the reason is too long to be told"}) // two plain texts
	}
	return text
}

// errStream is a second stream of frames in one session.
var errStream = errors.New("the session has a stream of frames already")
