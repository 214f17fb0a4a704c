package node

import (
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A flow brings packets from seed to seed: in memory while the next one is here and has
// room, else through stores.
type flow struct {
	outlets
	snap    atomic.Pointer[snapshot]
	ledgers ledgers
	history history
	watch   watch

	pauseAfter func(failures int32) time.Duration // before the next attempt
	// cutTime is how long after a run was cut off the node may be told to end for it
	// to be no attempt: what ends a service sends a signal to all of its processes,
	// and the run may have it first.
	cutTime time.Duration
	// noWorker is called when no worker of a seed could be started, with what was to run.
	// It tells whether that is tried again.
	noWorker func(h *host, err error, its []item) bool
}

func newFlow(cfg Config) *flow {
	f := &flow{
		ledgers: ledgers{open: map[packet.ID]*ledger{}, over: map[packet.ID]bool{}}, pauseAfter: retryDelay, cutTime: 2 * time.Second,
		watch: watch{woken: make(chan struct{}, 1)},
	}
	f.lifetime.begin(cfg)
	f.ownStore.take()
	f.boundBlobs()
	f.most, f.met = f.frameMost, f.peer
	f.snap.Store(newSnapshot(f.cfg.Name, nil, nil, nil, false))
	return f
}

// frameMost is how many packets a frame of the queue may hold.
func (f *flow) frameMost(q store.Queue) int {
	if name, ok := q.Seed(); ok {
		return f.snap.Load().frame(name)
	}
	return store.MaxPackets
}

// peer is the live peer of that name; nil if there is none.
func (f *flow) peer(name string) *peer {
	for _, p := range f.snap.Load().peers {
		if p.name == name {
			return p
		}
	}
	return nil
}

// RunTimes are how long batches have taken the seeds that the node hosts now,
// those that were measured: of a Go function that is run in place one of
// 64 packets.
func (f *flow) RunTimes() map[seed.Name]Times {
	out := map[seed.Name]Times{}
	for name, h := range f.snap.Load().hosts {
		h.cost.mu.Lock()
		out[name] = h.cost.times.look()
		h.cost.mu.Unlock()
	}
	return out
}

// taken counts the packets that seeds were given.
func (f *flow) taken() uint64 {
	var sum uint64
	for _, h := range f.snap.Load().hosts {
		in, _, _ := h.counts()
		sum += in
	}
	return sum
}

// sleep has nobody look until a worker begins something, unless one works now; it
// tells whether.
func (f *flow) sleep() bool {
	before := f.watch.taken
	f.watch.taken = f.taken()
	if f.watch.taken != before || f.works() {
		return false
	}
	f.watch.asleep.Store(true)
	// Looked at once more: one may have begun in between.
	return f.taken() == f.watch.taken && !f.works() || !f.watch.asleep.Swap(false)
}

// works tells whether a worker has a batch.
func (f *flow) works() bool {
	for _, h := range f.snap.Load().hosts {
		for _, s := range h.slots {
			if s.busy.Load() != 0 {
				return true
			}
		}
	}
	return false
}
