package node

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A host is one seed on this node: its queue and the slots that its workers
// run in. A packet for the seed is in the queue, in a slot that runs, or waits
// for a retry; never in two of them.
type host struct {
	node     *Node
	manifest seed.Manifest
	name     string
	key      packet.SeedKey
	inbox    store.Queue
	runner   runner.Runner
	queue    queue
	slots    []*slot
	cost     cost
	streams  bool // its runner reads large data from the store itself
	byPath   bool // and gives the seed a file of it, never the data in memory
	inline   bool // its packets may be run where they are, if it is cheap
	ports    atomic.Pointer[[]port]
	faults   faultLog
	retries  atomic.Uint64         // of its packets
	shared   map[packet.State]bool // of a seed that is gone: states that other seeds accept as well

	since time.Time // when a seed of this name and contract was first hosted here
	pulls pulls
	gate  gate

	// stop ends an injector's runs, and ended is closed after the last one.
	stop   context.CancelFunc
	ended  chan struct{}
	starts starts

	// unloaded is how it comes to a worker; nil while it is loaded.
	unloaded atomic.Pointer[loading]
	first    bool // it was there at the start of the node

	// resumed is closed when the seed runs again; nil while it is not paused.
	resumed atomic.Pointer[chan struct{}]
	gaveUps atomic.Uint64 // packets that went to Error:<seed>

	mu      sync.Mutex
	delayed map[*time.Timer]item
	hurried bool // the node drains: a retry does not wait any more
}

// A port is one output state of a seed with where its packets go, worked out
// when the snapshot was made.
type port struct {
	state packet.State
	name  string // of the state
	index int    // of the state in the contract
	to    []dest
}

// A dest is one seed that accepts a state.
type dest struct {
	name  seed.Name
	inbox store.Queue
	// host is the seed here; nil where its packets go into its inbox in any
	// case, since other nodes alone host it, or all are to have it in turn.
	host *host
	// forced lets a packet into the queue though it is full: inside a cycle a
	// send that blocks could wait for itself.
	forced bool
	// loading is of a host that is not loaded, which packets then have loaded soon.
	loading *loading
	// sole: no other seed accepts the state.
	sole bool
}

// lane leads into the seed's inbox, in the store where the packet belongs.
func (d *dest) lane(it *item) lane {
	if d.loading != nil {
		d.loading.want()
	}
	return lane{into: it.into(), queue: d.inbox, rank: rank(it), sole: d.sole}
}

func newHost(n *Node, m seed.Manifest, r runner.Runner) *host {
	streams := m.Kind != seed.Go && m.Mode != seed.Lines
	h := &host{
		node: n, manifest: m, name: string(m.Name), key: packet.KeyOf(string(m.Name)), inbox: store.Inbox(m.Name),
		runner: r, streams: streams, byPath: streams && m.DataPath,
		inline: m.Kind == seed.Go && m.Timeout == 0, ended: make(chan struct{}),
		delayed: map[*time.Timer]item{}, since: time.Now(), starts: starts{now: InjectorStatus{State: InjectorWaiting}},
	}
	count := m.Workers
	if count == 0 {
		count = runtime.GOMAXPROCS(0)
	}
	if len(m.Contract.In) == 0 {
		count = 1
	}
	for range count {
		s := &slot{host: h, node: n}
		s.in, s.out = counters(m.Contract)
		h.slots = append(h.slots, s)
	}
	return h
}

// load opens the workers of a Go function, which cost nothing.
func (h *host) load(ctx context.Context) error {
	for _, s := range h.slots {
		s.mu.Lock()
		err := s.open(ctx)
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// acquire takes a free slot, or nil. The caller owns it until it unlocks it.
func (h *host) acquire() *slot {
	for _, s := range h.slots {
		if s.mu.TryLock() {
			if !s.retired {
				return s
			}
			s.mu.Unlock()
		}
	}
	return nil
}

// kick sees to it that somebody works on the queue.
func (h *host) kick() {
	if s := h.acquire(); s != nil {
		h.node.goroutines.Go(s.pump)
	}
}

// retire ends the seed: it takes no more packets, what runs is finished, and
// what is left in the queue is routed anew. It blocks until all is done.
func (h *host) retire() {
	if h.stop != nil {
		h.stop()
		<-h.ended
	}
	h.endLoading()
	h.pulls.end()
	left := h.queue.close()
	rest := append(left.all(), h.undelay()...)
	for i := range rest {
		h.node.reroute(&rest[i], h)
	}
	h.closeSlots()
}

// closeSlots waits for every run and ends the workers, each in its own time.
func (h *host) closeSlots() {
	var all sync.WaitGroup
	for _, s := range h.slots {
		all.Go(func() {
			s.mu.Lock()
			s.retired = true
			s.close()
			s.mu.Unlock()
		})
	}
	all.Wait()
}

// reap ends the workers that have had nothing to do for a while.
func (h *host) reap(now time.Duration) {
	keep := h.manifest.KeepIdle()
	if h.manifest.Kind == seed.Go || keep == seed.Never {
		return // a function costs nothing
	}
	for _, s := range h.slots {
		if !s.mu.TryLock() {
			continue
		}
		if w := s.worker; w != nil && now-s.idleSince > keep {
			s.worker = nil
			h.node.goroutines.Go(func() { h.node.closeWorker(h, w) }) // which may take its time
		}
		s.mu.Unlock()
		if h.queue.length.Load() > 0 {
			h.kick() // for a packet that came while the slot was held
		}
	}
}

// idle tells whether nothing of this seed is under way.
func (h *host) idle() bool {
	packets, _ := h.queue.look()
	return packets == 0 && h.busy() == 0 && h.queue.length.Load() == 0
}

// busy counts the slots that run.
func (h *host) busy() int {
	running := 0
	for _, s := range h.slots {
		if s.mu.TryLock() {
			s.mu.Unlock()
		} else {
			running++
		}
	}
	// A packet that came while the look held a slot may not have been kicked.
	if h.queue.length.Load() > 0 {
		h.kick()
	}
	return running
}

// port finds the output that a seed means by state.
func (h *host) port(state packet.State) (*port, error) {
	ports := *h.ports.Load()
	if state == "" {
		if len(ports) != 1 {
			_, err := runner.OneOutput(h.manifest.Contract)
			return nil, err
		}
		return &ports[0], nil
	}
	for i := range ports {
		if ports[i].state == state {
			return &ports[i], nil
		}
	}
	var found *port
	for i := range ports {
		if ports[i].name == string(state) {
			if found != nil {
				return nil, fmt.Errorf("%s could be %s or %s; say which", state, found.state, ports[i].state)
			}
			found = &ports[i]
		}
	}
	if found == nil {
		return nil, fmt.Errorf("the seed gave the state %q, which its contract %s does not name", state, h.manifest.Contract)
	}
	return found, nil
}
