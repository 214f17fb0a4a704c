package node

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// patience is how long an inbox keeps its packets for a seed that nobody hosts.
const patience = 60 * time.Second

// orphans are the inboxes whose seed has no host.
type orphans struct {
	node   *Node
	since  map[seed.Name]time.Time
	looked map[seed.Name]sight
}

// A sight is what an inbox was looked through for, to the end: until the
// network or the inbox is another there is nothing new to find.
type sight struct {
	snap   *snapshot
	frames int
}

// moveOrphans routes packets anew that went to one seed alone which has had no
// host for a while, if another seed accepts them by now, until the node ends.
// Others stay: there are copies of them elsewhere.
func (n *Node) moveOrphans() {
	o := &orphans{node: n, since: map[seed.Name]time.Time{}, looked: map[seed.Name]sight{}}
	tick := time.NewTicker(n.patience / 6)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.pulling.Done():
			return
		}
		if err := o.look(time.Now()); err != nil && n.pulling.Err() == nil {
			n.log.Debug("looking for inboxes whose seed has no host", "error", err)
		}
	}
}

// look goes through the inboxes whose time has come.
func (o *orphans) look(now time.Time) error {
	n := o.node
	places, err := n.store.Queues(n.pulling)
	if err != nil {
		return err
	}
	snap, since := n.snap.Load(), map[seed.Name]time.Time{}
	for _, c := range places {
		name, inbox := c.Queue.Seed()
		if !inbox || snap.hosted(name) {
			continue
		}
		first, known := o.since[name]
		if !known {
			first = now
			delete(o.looked, name)
		}
		since[name] = first
		if now.Sub(first) < n.patience || o.looked[name] == (sight{snap, c.Frames}) {
			continue
		}
		moved, done, err := n.moveInboxAlone(name)
		if moved > 0 {
			n.log.Info(fmt.Sprintf("%s in the inbox of %s, which no node hosts, went on to other seeds", english.Plural(moved, "packet", ""), name))
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

// moveInboxAlone is moveInbox while no other node that shares the store does it.
func (n *Node) moveInboxAlone(name seed.Name) (moved int, done bool, err error) {
	_, release, err := n.alone()
	if err != nil {
		return 0, false, err
	}
	defer release()
	return n.moveInbox(name)
}

// moveInbox moves what it can out of an inbox. It is not done when the seed got
// a host meanwhile, or a frame could not be moved.
func (n *Node) moveInbox(name seed.Name) (moved int, done bool, err error) {
	done = true
	for next := uint64(0); ; {
		var found []store.Stored
		err := n.store.Look(n.pulling, store.Inbox(name), next, func(r store.Stored) bool {
			found = append(found, r)
			return len(found) < maxFrames
		})
		if err != nil || len(found) == 0 {
			return moved, done, err
		}
		for i := range found {
			next = found[i].Number + 1
			if n.snap.Load().hosted(name) {
				return moved, false, nil
			}
			count, err := n.moveOrphan(name, &found[i])
			moved += count
			if n.pulling.Err() != nil {
				return moved, false, err
			}
			done = done && err == nil
		}
	}
}

// moveOrphan moves one frame, if another seed accepts one of its packets by
// now, and returns when it has gone or stays.
func (n *Node) moveOrphan(name seed.Name, r *store.Stored) (moved int, err error) {
	n.moving.Add(1)
	defer n.moving.Add(-1)
	header, ps, err := packet.ParseFrame(r.Data)
	if err != nil || !header.Sole {
		return 0, nil // what is damaged is told when somebody pulls it
	}
	snap := n.snap.Load()
	for i := range ps {
		if len(snap.dests(&ps[i])) > 0 {
			moved++
		}
	}
	if moved == 0 {
		return 0, nil
	}
	m := move{node: n, at: store.Inbox(name), old: r, ps: ps}
	for i := range ps {
		to := snap.dests(&ps[i])
		if err := m.noteMove(&ps[i], string(name), to); err != nil {
			return 0, err
		}
		m.put(&ps[i], m.lanesTo(&ps[i], to))
	}
	if err := m.commit(n.pulling); err != nil {
		return 0, err
	}
	return moved, nil
}
