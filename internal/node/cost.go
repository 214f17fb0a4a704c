package node

import (
	"sync/atomic"
	"time"

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
	// inlineDepth bounds the calls within calls that this makes.
	inlineDepth = 16
	// sampleEvery is how many inline runs share one measurement.
	sampleEvery = 64
)

// A cost is the running estimate of what one packet takes a seed, in
// nanoseconds; 0 while nothing is known. Waiting for room is no part of it.
type cost struct{ nanos atomic.Int64 }

// add takes the measurement of n packets that took d together. A single
// outlier (a pause of the machine) moves the estimate by no more than its
// double.
func (c *cost) add(d time.Duration, n int) {
	sample := max(int64(d)/int64(n), 1)
	old := c.nanos.Load()
	if old == 0 {
		c.nanos.Store(sample)
		return
	}
	sample = min(sample, 8*old)
	c.nanos.Store(max(old+(sample-old)/8, 1))
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

// cheap tells whether a seed's packets are to be run where they are.
func (c *cost) cheap() bool {
	known := c.nanos.Load()
	return known > 0 && known < int64(inlineCost)
}

// A clock reads the time cheaply: a reading is the time since it was made.
type clock struct{ base time.Time }

func (c clock) now() time.Duration { return time.Since(c.base) }

func (c clock) at(d time.Duration) time.Time { return c.base.Add(d) }

// hopGrain is how long an injector's packets share one hop: their times are
// that exact.
const hopGrain = time.Millisecond

// extend is the trail of what a seed gives for p. A hop that is the same as
// last, the newest one the caller made, is shared instead of made again.
func extend(last *packet.Hop, p *packet.Packet, seed, node string, at time.Time) *packet.Hop {
	if last != nil && last.Prev == p.Trail && last.State == "" && last.At.Equal(at) {
		return last
	}
	return &packet.Hop{Prev: p.Trail, Seed: seed, Node: node, At: at, Depth: p.Hops() + 1}
}
