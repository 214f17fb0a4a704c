package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A committer stores packets that descend from no frame of the same store:
// while one commit is on its way to the disk, the packets that come form the
// next. So one packet waits for nothing, and under load one fsync pays for
// thousands. All copies of a packet are in one commit. What descends from a
// frame is stored by a [finisher].
type committer struct {
	*writer
	target

	// room is for what waits to be stored, in bytes: see [weight].
	room *semaphore.Weighted

	mu     sync.Mutex
	queue  []*commit // to be stored, oldest first; the last one fills
	flying int       // goroutines that store
}

const (
	// maxFilled is how many commits may wait for one that is on its way.
	maxFilled = 8
	// maxFlying is how many commits are on their way at a time: while the disk
	// has one, the next gets to the store.
	maxFlying = 2
	// worthwhile is how many packets, copies included, are worth another way to
	// the disk beside one that goes on.
	worthwhile = 2 * store.MaxPackets
	// fullFrames is how many packets the frames of a commit that is worth its way
	// have on average before it is full: with a thousand seeds they would have one
	// each.
	fullFrames = store.MaxPackets / 8
	// fullCommit and fullCommitBytes are the most packets and bytes that are added
	// to a commit.
	fullCommit      = 16 * store.MaxPackets
	fullCommitBytes = 2 << 20
)

// A commit is one transaction that fills or is on its way.
type commit struct {
	framer
	of     *committer
	from   []*unit // of packets that descend from a frame of another store
	claims []*claim
	weight int64
	own    []packet.Sum  // held until the commit has landed
	done   chan struct{} // closed when err is set
	err    error

	// Under the committer's lock.
	trying bool          // the store has it right now
	tried  chan struct{} // closed when it has not any more; nil while nobody waits
	landed bool
}

// A bringer is who brings a packet from outside, with the claim on its id; either
// may be nil.
type bringer struct {
	by    *sender
	claim *claim
	// entry, unless nil, is stored in the ledger with the packet.
	entry  *packet.Packet
	ledger lane
}

// A target is where a committer leads.
type target struct {
	into *peer
	rank store.Rank
}

func newCommitter(w *writer, t target) *committer {
	return &committer{writer: w, target: t, room: semaphore.NewWeighted(maxFilled * fullCommitBytes)}
}

// rank is whose room p takes that has no frame yet: what a seed gave for a
// packet is a descendant also where nothing was stored before.
func rank(it *item) store.Rank {
	if it.from == nil && it.Fault == nil && (it.Trail == nil || it.ID == it.Ship.Root) {
		return store.Root
	}
	return store.Descendant
}

// add puts the packet into a commit, one copy for each queue, and returns that
// commit; it blocks while too much waits. The commit takes over the item's count,
// unless add fails: when it has landed the count is ended, and given up when it
// could not be stored.
func (c *committer) add(ctx context.Context, it *item, to []lane, after time.Duration, from bringer) (*commit, error) {
	size := storedSize(&it.Packet)
	if size > store.MaxFrame-maxFrameHead {
		return nil, tooLong(&it.Packet, size)
	}
	w := weight(size, len(to))
	if err := c.room.Acquire(ctx, w); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.queue); n == 0 || c.queue[n-1].full() {
		c.queue = append(c.queue, &commit{of: c, done: make(chan struct{})})
	}
	f := c.queue[len(c.queue)-1]
	f.weight += w
	for _, l := range to {
		f.framer.add(l, c.most(l.queue), &it.Packet, size, after, from.by)
	}
	if from.entry != nil {
		f.framer.add(from.ledger, store.MaxPackets, from.entry, storedSize(from.entry), 0, from.by)
	}
	if it.from != nil {
		f.from = append(f.from, it.from)
	}
	if from.claim != nil {
		from.claim.by = from.by
		f.claims = append(f.claims, from.claim)
	}
	if c.flying == 0 || c.flying < maxFlying && f.worth() {
		c.flying++
		c.goroutines.Go(c.fly)
	}
	return f, nil
}

// weight is what a packet of that size takes of a committer's room. A small one
// weighs as if it were one of a commit that is full of packets, so that there is room
// for as many commits of either kind.
func weight(size, copies int) int64 {
	return int64(min(copies*max(size, fullCommitBytes/fullCommit), maxFilled*fullCommitBytes))
}

// cutHops is how many hops are left of a history that is cut.
const cutHops = 100

// fit cuts the history of a packet that is in and would not fit into a frame, and
// tells whether it did: better that than to lose the packet.
func (s *ownStore) fit(p *packet.Packet) bool {
	if size := storedSize(p); size <= store.MaxFrame-maxFrameHead {
		return false
	}
	var hops []packet.Hop
	for h := p.Trail; h != nil && len(hops) < cutHops; h = h.Prev {
		hops = append(hops, packet.Hop{Seed: h.Seed, Node: h.Node, Version: h.Version, At: h.At})
	}
	s.log.Warn(fmt.Sprintf("packet %s came through %d seeds, and its history is too large for the store: only the last %d are kept, without their data", p.ID, p.Hops(), len(hops)), "packet", p.ID)
	p.Trail = nil
	for i := len(hops) - 1; i >= 0; i-- {
		hops[i].Prev, hops[i].Depth = p.Trail, len(hops)-i
		p.Trail = &hops[i]
	}
	return true
}

// worth tells whether the commit is worth another way to the disk.
func (f *commit) worth() bool { return f.count >= worthwhile || f.bytes >= fullCommitBytes }

// full tells whether the commit grows no more: later packets are in the next, which
// gets to the store meanwhile.
func (f *commit) full() bool {
	return f.count >= fullCommit || f.bytes >= fullCommitBytes || f.worth() && f.count >= fullFrames*len(f.frames)
}

// next takes the oldest commit; nil means that there is none, and that the
// caller is to end.
func (c *committer) next() *commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.flying > 1 && !c.queue[0].worth() {
		c.flying--
		return nil
	}
	f := c.queue[0]
	c.queue = append(c.queue[:0], c.queue[1:]...)
	c.room.Release(f.weight)
	return f
}

// fly stores commits until there is nothing more.
func (c *committer) fly() {
	for f := c.next(); f != nil; f = c.next() {
		f.err = c.land(f)
		c.finish(f)
	}
}

// finish ends the counts of what the commit's packets came from.
func (c *committer) finish(f *commit) {
	c.drop(f.own)
	c.mu.Lock()
	claims := f.claims
	f.claims = nil
	c.mu.Unlock()
	for i := range claims {
		claims[i].end(f.err == nil)
	}
	for _, from := range f.from {
		if f.err != nil {
			from.lost.Store(true)
		}
		from.end(1)
	}
	f.from = nil
	f.free()
	close(f.done)
}

// idle tells whether nothing is on its way.
func (c *committer) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flying == 0 && len(c.queue) == 0
}

// await waits until the commit has landed.
func (f *commit) await(ctx context.Context) error {
	if ctx.Done() == nil { // keeps thousands that wait out of each other's way
		<-f.done
		return f.err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// over tells whether the commit has landed, or failed.
func (f *commit) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// withdraw takes out what the sender has brought, and tells whether it did: what
// is stored stays there. It waits while the store has the commit.
func (f *commit) withdraw(sent *sender) bool {
	c := f.of
	c.mu.Lock()
	defer c.mu.Unlock()
	for f.trying {
		if f.tried == nil {
			f.tried = make(chan struct{})
		}
		tried := f.tried
		c.mu.Unlock()
		<-tried
		c.mu.Lock()
	}
	if f.landed {
		return false
	}
	for _, fr := range f.frames { // those that are empty now may fill again
		fr.without(sent)
	}
	f.claims = slices.DeleteFunc(f.claims, func(c *claim) bool {
		if c.by == sent {
			c.end(false)
		}
		return c.by == sent
	})
	return true
}

// land stores a commit. While the store is full or cannot be written, what has
// no other frame to come from waits here, and those who sent it with it; other
// packets are given up, and run again from the frames they came from.
func (c *committer) land(f *commit) error {
	for wait := storePauses; ; {
		if err := c.running.Err(); err != nil {
			return err // the node ends, and knew no routes any more
		}
		err := c.try(f)
		if err == nil || c.running.Err() != nil {
			return err
		}
		c.storeTrouble(err)
		if len(f.from) > 0 || !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBroken) {
			return err
		}
		if !wait.For(c.injecting) {
			return ErrDraining
		}
	}
}

// try is one attempt, of what was not withdrawn.
func (c *committer) try(f *commit) error {
	c.mu.Lock()
	f.trying = true
	f.frames = slices.DeleteFunc(f.frames, func(fr *filling) bool { return len(fr.packets) == 0 })
	c.mu.Unlock()
	err := c.put(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	f.trying, f.landed = false, err == nil
	if f.tried != nil {
		close(f.tried)
		f.tried = nil
	}
	return err
}

func (c *committer) put(f *commit) error {
	if len(f.frames) == 0 {
		return nil
	}
	var err error
	if f.own, err = c.setApart(f.frames, f.own); err != nil {
		return err
	}
	tx, done := &store.Tx{Durable: true}, func(bool) {}
	if c.into == nil {
		done = c.seen.put(tx, f.claims)
	}
	err = c.write(c.into, tx, f.frames, nil)
	done(err == nil)
	return err
}
