package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// orphans are the inboxes whose seed has no host.
type orphans struct {
	*sorter
	since  map[seed.Name]time.Time
	looked map[seed.Name]sight
}

// A sight is what an inbox was looked through for, to the end: until the
// network or the inbox is another there is nothing new to find.
type sight struct {
	snap   *snapshot
	frames int
}

// moveOrphans routes packets anew that went to one seed alone which has ended, or,
// where it was never known to the store, has had no host for a while, until the node
// ends. Others stay: there are copies of them elsewhere.
func (s *sorter) moveOrphans() {
	o := &orphans{sorter: s, since: map[seed.Name]time.Time{}, looked: map[seed.Name]sight{}}
	tick := time.NewTicker(s.patience / 6)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.orphaned:
		case <-s.pulling.Done():
			return
		}
		if err := o.look(time.Now()); err != nil && s.pulling.Err() == nil {
			s.log.Debug("looking for inboxes whose seed has no host", "error", err)
		}
	}
}

// look goes through the inboxes whose time has come.
func (o *orphans) look(now time.Time) error {
	places, err := o.store.Queues(o.pulling)
	if err != nil {
		return err
	}
	snap, since := o.snap.Load(), map[seed.Name]time.Time{}
	for _, c := range places {
		name, inbox := c.Queue.Seed()
		if !inbox || snap.keeps(name) {
			continue
		}
		first, known := o.since[name]
		if !known {
			first = now
			delete(o.looked, name)
		}
		since[name] = first
		if now.Sub(first) < o.patience && !(snap.ended[name] && o.leases()) || o.looked[name] == (sight{snap, c.Frames}) {
			continue
		}
		moved, done, err := o.moveInboxAlone(name)
		if moved > 0 {
			o.log.Info(fmt.Sprintf("%s in the inbox of %s, which no node hosts, went on", english.Plural(moved, "packet", ""), name), "seed", name)
		}
		if err != nil {
			return err
		}
		if done {
			o.looked[name] = sight{snap, c.Frames}
		}
	}
	o.since = since
	return nil
}

// emptyInbox takes everything out of an inbox: what only its seed had goes on, and the
// copies of what others have as well end. The caller holds s.emptying.
func (s *sorter) emptyInbox(name seed.Name) (moved, error) {
	_, release, err := s.alone()
	if err != nil {
		return moved{}, err
	}
	defer release()
	m, err := s.moveInbox(name, true)
	// Whoever asked is told of it.
	return m, errors.Join(err, s.store.Commit(s.running, &store.Tx{Durable: true}))
}

// moveInboxAlone is moveInbox while no other node that shares the store does it.
func (s *sorter) moveInboxAlone(name seed.Name) (moved int, done bool, err error) {
	s.emptying.Lock()
	defer s.emptying.Unlock()
	_, release, err := s.alone()
	if err != nil {
		return 0, false, err
	}
	defer release()
	m, err := s.moveInbox(name, false)
	return m.routed, m.done, err
}

// A moved is what became of an inbox, in packets. It is not done when the seed got a host
// meanwhile, or some are left: at work, or to be tried again only later.
type moved struct {
	routed, dropped, left int
	done                  bool
}

// moveInbox moves what it can out of an inbox, and with drop ends the copies that are
// in it.
func (s *sorter) moveInbox(name seed.Name, drop bool) (m moved, err error) {
	m.done = true
	for f, err := range s.frames(s.pulling, store.Inbox(name), 0) {
		if err != nil {
			return m, err
		}
		if f.Number == 0 { // a delayed one has no place yet from which it could be taken
			m.stays(f)
			continue
		}
		if s.snap.Load().keeps(name) {
			m.done = false
			return m, nil
		}
		routed, dropped, err := s.moveOrphan(name, f, drop)
		m.routed += routed
		m.dropped += dropped
		if s.pulling.Err() != nil {
			m.done = false
			return m, err
		}
		if err != nil {
			if !errors.Is(err, errAtWork) {
				s.log.Warn("taking a frame out of the inbox of a seed that is gone", "seed", name, "error", err)
			}
			m.stays(f)
		}
	}
	return m, nil
}

// stays counts a frame that cannot be moved now.
func (m *moved) stays(f *found) {
	m.done = false
	m.left += len(f.packets)
}

// moveOrphan moves one frame, if another seed accepts one of its packets by now or its
// own accepts nothing any more, and returns when it has gone or stays.
func (s *sorter) moveOrphan(name seed.Name, f *found, drop bool) (routed, dropped int, err error) {
	s.moving.Add(1)
	defer s.moving.Add(-1)
	header, ps := &f.header, f.packets
	if !header.Sole && !drop {
		return 0, 0, nil
	}
	snap := s.snap.Load()
	if header.Sole && !drop && !snap.ended[name] && !slices.ContainsFunc(ps, func(p packet.Packet) bool { return len(snap.dests(&p)) > 0 }) {
		return 0, 0, nil // it has nowhere to go
	}
	m := move{flow: s.flow, found: f}
	if err := m.lease(); err != nil {
		return 0, 0, err
	}
	defer m.end()
	for i := range ps {
		if m.frame != nil && m.frame.begun(i, &ps[i]) {
			continue // what came of it is stored
		}
		if !header.Sole {
			var end record
			end.end(ps[i].ID, string(name))
			if err := m.note(&ps[i], &end); err != nil {
				return 0, 0, err
			}
			dropped++
			continue
		}
		to := snap.dests(&ps[i])
		if err := m.noteMove(&ps[i], string(name), to); err != nil {
			return 0, 0, err
		}
		m.put(&ps[i], m.lanesTo(&ps[i], to))
		routed++
	}
	if err := m.commit(s.pulling); err != nil {
		return 0, 0, err
	}
	return routed, dropped, nil
}
