package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A committer appends packets to one place of the store, as frames: while one
// frame is on its way to the disk, the packets that come form the next. So a
// frame of one packet waits for nothing, and under load one fsync pays for
// hundreds.
type committer struct {
	node *Node
	lane lane
	most func() int // packets a frame

	mu     sync.Mutex
	queue  []*commit     // to be appended, oldest first; the last one fills
	flying int           // goroutines that append
	room   chan struct{} // closed when a frame was taken; nil while nobody waits
	spare  []used
}

// used are the emptied slices of a commit.
type used struct {
	packets []packet.Packet
	from    []*origin
}

const (
	// maxFilled is how many frames may wait for one that is on its way.
	maxFilled = 8
	// maxFlying is how many frames are on their way at a time: while the disk
	// has one, the next gets to the store.
	maxFlying = 2
)

// A lane is what packets of one frame have in common.
type lane struct {
	// into is the peer whose store they go into; nil is the node's own.
	into  *peer
	place store.Place
	rank  store.Rank
	// attempt sets apart the packets that are to be tried again later: those
	// of one attempt wait for about the same time. 0 is for all others.
	attempt int32
	// sole: no other seed accepted the packets.
	sole bool
}

// A commit is one frame that fills or is on its way.
type commit struct {
	header  packet.FrameHeader
	packets []packet.Packet
	from    []*origin
	bytes   int
	own     []packet.Sum  // held until the frame has landed
	done    chan struct{} // closed when err is set
	err     error
}

// committer is the one for the lane.
func (n *Node) committer(l lane) *committer {
	if c, ok := n.committers.Load(l); ok {
		return c.(*committer)
	}
	c := &committer{node: n, lane: l, most: func() int { return store.MaxPackets }}
	if name, ok := l.place.Seed(); ok {
		c.most = func() int {
			return n.snap.Load().frame(name)
		}
	}
	actual, _ := n.committers.LoadOrStore(l, c)
	return actual.(*committer)
}

// rank is whose room p takes that has no frame yet: what a seed gave for a
// packet is a descendant also where nothing was stored before.
func rank(it *item) store.Rank {
	if it.from == nil && it.Fault == nil && (it.Trail == nil || it.ID == it.Ship.Root) {
		return store.Root
	}
	return store.Descendant
}

// append puts it into the next frame of the place and returns that frame's
// commit; it blocks while a full frame waits for the one before. The commit
// takes over the item's count: when the frame is stored it is ended, and given
// up when it could not be.
func (n *Node) append(ctx context.Context, to store.Place, it *item) (*commit, error) {
	l := lane{into: it.into(), place: to, rank: rank(it)}
	return n.committer(l).add(ctx, it, time.Time{})
}

func (c *committer) add(ctx context.Context, it *item, notBefore time.Time) (*commit, error) {
	size := packet.FrameSize(&it.Packet)
	if len(it.Data) > store.MaxInline {
		size -= len(it.Data)
	}
	c.mu.Lock()
	var f *commit
	most := 0
	for f == nil {
		most = c.most() // again after each wait: by then more may be known
		if n := len(c.queue); n > 0 && !c.queue[n-1].full(most) && c.queue[n-1].bytes+size <= store.MaxFrame {
			f = c.queue[n-1]
		} else if n < maxFilled {
			f = c.newCommit(most)
			c.queue = append(c.queue, f)
		} else if err := c.awaitRoom(ctx); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	f.packets = append(f.packets, it.Packet)
	f.from = append(f.from, it.from)
	f.bytes += size
	if notBefore.After(f.header.NotBefore) {
		f.header.NotBefore = notBefore
	}
	if c.flying == 0 || c.flying < maxFlying && f.full(most) {
		c.flying++
		c.node.goroutines.Go(c.fly)
	}
	c.mu.Unlock()
	return f, nil
}

// newCommit makes an empty commit, of slices that were used before if there are
// some. The caller holds c.mu.
func (c *committer) newCommit(most int) *commit {
	f := &commit{done: make(chan struct{}), header: packet.FrameHeader{Sole: c.lane.sole}}
	if n := len(c.spare); n > 0 && most > 1 {
		f.packets, f.from = c.spare[n-1].packets, c.spare[n-1].from
		c.spare = c.spare[:n-1]
	}
	return f
}

// keep lets the commits to come use the slices of one that has landed.
func (c *committer) keep(f *commit) {
	if cap(f.packets) < store.MaxPackets {
		return
	}
	clear(f.packets)
	clear(f.from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spare) < maxFlying {
		c.spare = append(c.spare, used{f.packets[:0], f.from[:0]})
	}
}

func (f *commit) full(most int) bool {
	return len(f.packets) >= most || f.bytes >= store.MaxBytes
}

// awaitRoom waits until a frame was taken. The caller holds c.mu.
func (c *committer) awaitRoom(ctx context.Context) error {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	room := c.room
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next takes the oldest frame to append; nil means that there is none, and
// that the caller is to end.
func (c *committer) next() *commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The second one at work only takes what cannot grow any more.
	if len(c.queue) == 0 || c.flying > 1 && !c.queue[0].full(c.most()) {
		c.flying--
		return nil
	}
	f := c.queue[0]
	c.queue = append(c.queue[:0], c.queue[1:]...)
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
	return f
}

// fly appends frames until there is nothing more.
func (c *committer) fly() {
	var buf []byte
	for f := c.next(); f != nil; f = c.next() {
		buf, f.err = c.store(f, buf)
		c.settle(f)
		c.keep(f)
	}
}

// settle settles what the frame's packets came from.
func (c *committer) settle(f *commit) {
	if state, ok := c.lane.place.State(); ok && f.err == nil && c.lane.into == nil {
		c.node.parked(state, &f.packets[0])
	}
	c.node.drop(f.own)
	for i, from := range f.from {
		switch {
		case from == nil: // whoever waits for the commit knows what to do
		case f.err != nil:
			from.lost.Store(true)
			from.end(1)
		default:
			from.end(1)
		}
		f.from[i] = nil
	}
	close(f.done)
}

// landed tells whether the commit is stored, or failed.
func (f *commit) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
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

// The pauses between attempts to append.
const (
	minPause = 5 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// store appends a frame. While the store is full or cannot be written, what has
// no other frame to come from waits here, and those who sent it with it; other
// packets are given up, and run again from the frames they came from. It
// returns buf, which it has used, to be used again.
func (c *committer) store(f *commit, buf []byte) ([]byte, error) {
	n := c.node
	waits := slices.Contains(f.from, nil)
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := n.setApart(f)
		if err == nil {
			buf = packet.AppendFrame(buf[:0], f.header, f.packets)
			err = c.appendTo(f, store.Frame{Data: buf, Packets: len(f.packets), Rank: c.lane.rank})
		}
		if err == nil || n.running.Err() != nil {
			return buf, err
		}
		n.storeTrouble(err)
		if !waits || !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBroken) {
			return buf, err
		}
		if !pause.For(n.injecting, wait) {
			return buf, ErrDraining
		}
	}
}

// appendTo stores the frame of f where the lane leads.
func (c *committer) appendTo(f *commit, frame store.Frame) error {
	n := c.node
	if c.lane.into != nil {
		return c.lane.into.keep(n.running, c.lane.place, frame, f)
	}
	n.holdBlobs(f.packets)
	began := n.clock.now()
	err := n.store.Append(n.running, c.lane.place, frame)
	n.appends.add(n.clock.now() - began)
	if errors.Is(err, store.ErrFull) { // else it may have been stored; the next start finds out
		n.dropBlobs(f.packets)
	}
	return err
}

// storeTrouble says once why the store takes nothing, until it takes packets
// again.
func (n *Node) storeTrouble(err error) {
	n.failed.Store(int64(n.clock.now()))
	if n.trouble.Swap(true) {
		return
	}
	n.log.Warn(fmt.Sprintf("packets are held back: %v; nothing is lost, and it goes on when there is room (pmk ps shows what waits)", err))
	n.goroutines.Go(func() {
		for pause.For(n.running, maxPause) {
			quiet := n.clock.now()-time.Duration(n.failed.Load()) > troubleTime
			if st := n.store.State(); quiet && st.Err == nil && (st.Size == 0 || st.Used < st.Size) {
				n.trouble.Store(false)
				n.log.Info("the store takes packets again")
				return
			}
		}
	})
}

// troubleTime is how long no append has failed before the store is said to be
// well: at its brim it takes one packet and refuses the next.
const troubleTime = 4 * maxPause
