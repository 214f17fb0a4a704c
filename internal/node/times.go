package node

import (
	"math"
	"sync"
	"time"
)

const (
	// timesSchema is that of a Prometheus native histogram: each of its buckets
	// ends at 2^(1/4) times the end of the one before.
	timesSchema = 2
	// The buckets are those around 1 ns to those around 3 hours; what is beyond
	// counts in the outermost.
	firstBucket, lastBucket = -120, 54
)

// times is a histogram of durations. Its zero value is empty and ready.
type times struct {
	buckets [lastBucket - firstBucket + 1]uint64
	sum     time.Duration
}

func (t *times) add(d time.Duration) {
	d = max(d, 1)
	i := int(math.Ceil(math.Log2(d.Seconds()) * (1 << timesSchema)))
	t.buckets[min(max(i, firstBucket), lastBucket)-firstBucket]++
	t.sum += d
}

// Times is a histogram of durations, as a Prometheus native histogram has it:
// bucket i counts what took up to 2^(i / 2^Schema) seconds and more than the
// bucket before.
type Times struct {
	Schema  int32
	Count   uint64
	Sum     time.Duration
	Buckets map[int]int64 // those that are not empty
}

func (t *times) look() Times {
	out := Times{Schema: timesSchema, Sum: t.sum, Buckets: map[int]int64{}}
	for i, count := range t.buckets {
		if count > 0 {
			out.Count += count
			out.Buckets[i+firstBucket] = int64(count) //nolint:gosec // counts batches
		}
	}
	return out
}

// appendTimes are those of appends to the own store.
type appendTimes struct {
	mu sync.Mutex
	times
}

func (a *appendTimes) add(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times.add(d)
}
