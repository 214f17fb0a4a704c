package node

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

const (
	// batchTime is how much work one batch should make.
	batchTime = 20 * time.Millisecond
	// maxBatch is the most packets that a worker is given at a time.
	maxBatch = 256
	// inlineCost is the cost up to which a Go seed is called where its packet
	// is, instead of through its queue: below it the hand-over to another
	// goroutine would cost more than the run.
	inlineCost = 2 * time.Microsecond
	// inlineLimit is the cost from which it is not any more. On a busy machine the
	// estimate wanders, and a seed that goes back and forth between both ways has
	// the worse of them.
	inlineLimit = 10 * time.Microsecond
	// inlineDepth bounds the calls within calls that this makes.
	inlineDepth = 16
	// sampleEvery is how many inline runs share one measurement.
	sampleEvery = 64
)

// A cost is the running estimate of what one packet of the size of late takes a
// seed, in nanoseconds; 0 while nothing is known. Waiting for room is no part of
// it.
type cost struct {
	nanos atomic.Int64
	quick atomic.Bool // its packets are to be run where they are

	mu    sync.Mutex
	model predict.Model
	times times
}

// add takes the measurement of n packets with so much data that took d together.
func (c *cost) add(d time.Duration, n int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.model.Add(d, n, bytes)
	c.times.add(d)
	line := c.model.Line()
	estimate := line.Cost(line.Bytes)
	c.nanos.Store(int64(estimate))
	switch {
	case estimate < inlineCost:
		c.quick.Store(true)
	case estimate >= inlineLimit:
		c.quick.Store(false)
	}
}

// line is all that was learned.
func (c *cost) line() predict.Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.model.Line()
}

// dataSize is how much data packets have together.
func dataSize(ps []packet.Packet) (bytes int64) {
	for i := range ps {
		bytes += ps[i].DataSize()
	}
	return bytes
}

func (c *cost) get() time.Duration { return time.Duration(c.nanos.Load()) }

// batch is how many packets a worker is to be given when queued lie in a
// queue that workers share.
func (c *cost) batch(queued, workers int) int {
	known := c.nanos.Load()
	if known == 0 {
		return 1
	}
	n := min(int64(batchTime)/known, maxBatch)
	share := int64((queued + workers - 1) / workers)
	return int(max(min(n, share), 1))
}

// frame is how many packets a frame for the seed may hold.
func (c *cost) frame() int { return framePackets(c.get()) }

// framePackets is how many packets of that cost a frame may hold.
func framePackets(cost time.Duration) int {
	if cost == 0 {
		return 1
	}
	return int(max(min(batchTime/cost, store.MaxPackets), 1))
}

// rounded is what a node says of the cost: the next lower power of two, or what it
// said before if that is still about right.
func (c *cost) rounded(before time.Duration) time.Duration {
	known := c.nanos.Load()
	switch {
	case known == 0:
		return 0
	case before > 0 && known >= int64(before)/2 && known < 4*int64(before):
		return before
	}
	return 1 << (bits.Len64(uint64(known)) - 1)
}

// cheap tells whether a seed's packets are to be run where they are.
func (c *cost) cheap() bool { return c.quick.Load() }

// A clock reads the time cheaply: a reading is the time since it was made.
type clock struct{ base time.Time }

func (c clock) now() time.Duration { return time.Since(c.base) }

func (c clock) at(d time.Duration) time.Time { return c.base.Add(d) }

// hopGrain is how long an injector's packets share one hop: their times are
// that exact.
const hopGrain = time.Millisecond

// extend is the trail of what a seed gives for p.
func (h *host) extend(p *packet.Packet, at time.Time) *packet.Hop {
	return &packet.Hop{Prev: p.Trail, Seed: h.name, Version: h.version(), Node: h.node.cfg.Name, At: at, Depth: p.Hops() + 1}
}

// trail is that of what the slot's batch gives for p. What is given one after the
// other shares its hop.
func (s *slot) trail(p *packet.Packet) *packet.Hop {
	if s.hop == nil || s.hop.Prev != p.Trail || s.hopAt != s.now {
		s.hop, s.hopAt = s.host.extend(p, s.node.clock.at(s.now)), s.now
	}
	return s.hop
}
