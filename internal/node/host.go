package node

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
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
// for a retry; never in two of them. A host does nothing by itself: it is what those who
// route packets, run them and bring them from stores know of the seed.
type host struct {
	runner.Traits
	manifest seed.Manifest
	name     string
	key      packet.SeedKey
	inbox    store.Queue
	runner   runner.Runner
	loaded   atomic.Pointer[runner.Loaded] // nil before, and of a runner that does not tell
	queue    queue
	slots    []*slot
	cost     cost
	byPath   bool // it gives the seed a file of large data, never the data in memory
	ports    atomic.Pointer[[]port]
	faults   faultLog
	retries  atomic.Uint64         // of its packets
	gaveUps  atomic.Uint64         // packets that went to Error:<seed>
	shared   map[packet.State]bool // of a seed that is gone: states that other seeds accept as well

	since time.Time // when a seed of this name and contract was first hosted here
	pulls pulls
	gate  gate

	// wake sees to it that somebody works on the queue. It is the crew's, which is a *crew
	// and known to those who run packets, above all that is here.
	wake func()
	crew any

	// stop ends an injector's runs, and ended is closed after the last one.
	stop   context.CancelFunc
	ended  chan struct{}
	starts starts

	// elder is the version before, whose workers count with this one's while it finishes what
	// it has; nil where nothing says how many there may be. successor is the other way round.
	elder, successor atomic.Pointer[host]

	// unloaded is how it comes to a worker; nil while it is loaded.
	unloaded atomic.Pointer[loading]
	first    bool // it was there at the start of the node

	// resumed is closed when the seed runs again; nil while it is not paused.
	resumed atomic.Pointer[chan struct{}]

	mu      sync.Mutex
	delayed map[*time.Timer]item
	hurried bool // the node drains: a retry does not wait any more
}

// version is that of what the seed's workers have loaded.
func (h *host) version() string {
	if l := h.loaded.Load(); l != nil && l.Version != "" {
		return l.Version
	}
	return h.manifest.Version
}

// declared is the manifest, with the version of what was loaded.
func (h *host) declared() seed.Manifest {
	m := h.manifest
	m.Version = h.version()
	return m
}

// A caller is the run that a packet comes from, as far as it matters to the next one.
type caller struct {
	now    time.Duration // when its batch began, by the node's clock
	depth  int           // calls around it on its goroutine
	timing bool          // away counts every output, not only those that blocked
	away   time.Duration // spent in outputs, not in the seed
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

func newHost(m seed.Manifest, traits runner.Traits, r runner.Runner) *host {
	h := &host{
		manifest: m, name: string(m.Name), key: packet.KeyOf(string(m.Name)), inbox: store.Inbox(m.Name),
		runner: r, Traits: traits, byPath: traits.Streams && m.DataPath, ended: make(chan struct{}),
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
		s := &slot{freed: make(chan struct{}, 1)}
		s.in, s.out = counters(m.Contract)
		h.slots = append(h.slots, s)
	}
	return h
}

// base is how people call what the seed is loaded from.
func (h *host) base() string {
	if h.manifest.File == "" {
		return h.name
	}
	return filepath.Base(h.manifest.File)
}

// inherit makes h the successor of a seed of its name.
func (h *host) inherit(before *host) {
	if before.manifest.Contract.Same(h.manifest.Contract) {
		h.since = before.since
	}
	if h.manifest.Workers > 0 || h.manifest.Contract.Injector() {
		h.elder.Store(before)
		before.successor.Store(h)
	}
}

// held tells whether nothing is to be brought to the seed: it is paused or not loaded.
func (h *host) held() bool { return h.paused() || h.unloaded.Load() != nil }

// stuck tells whether the seed's inbox does not shrink, as far as is known: it is
// paused, or could not be loaded.
func (h *host) stuck() bool {
	l := h.unloaded.Load()
	return h.paused() || l != nil && l.why() != nil
}

func (h *host) paused() bool { return h.resumed.Load() != nil }

// awaitResume returns once the seed is not paused; the error is ctx's.
func (h *host) awaitResume(ctx context.Context) error {
	for {
		resumed := h.resumed.Load()
		if resumed == nil {
			return ctx.Err()
		}
		select {
		case <-*resumed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitLoaded returns once the seed is loaded; the error is ctx's.
func (h *host) awaitLoaded(ctx context.Context) error {
	for {
		l := h.unloaded.Load()
		if l == nil {
			return ctx.Err()
		}
		select {
		case <-l.loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// idle tells whether nothing of this seed is under way.
func (h *host) idle() bool {
	packets, _ := h.queue.look()
	return packets == 0 && h.busy() == 0 && h.queue.length.Load() == 0
}

// manned tells whether the seed has a worker.
func (h *host) manned() bool {
	return slices.ContainsFunc(h.slots, func(s *slot) bool { return s.manned.Load() })
}

// eldersBusy counts the slots of the versions before that run.
func (h *host) eldersBusy() (running int) {
	for e := h.elder.Load(); e != nil; e = e.elder.Load() {
		running += e.busy()
	}
	return running
}

// busy counts the slots that run.
func (h *host) busy() (running int) {
	for _, s := range h.slots {
		if s.taken() {
			running++
		}
	}
	return running
}

// stalled tells whether every worker has been at one batch since before then.
func (h *host) stalled(before int64) bool {
	for _, s := range h.slots {
		if since := s.busy.Load(); since == 0 || since > before {
			return false
		}
	}
	return true
}

// withdraw closes the queue and gives what was in it or waited for another attempt.
func (h *host) withdraw() withdrawn {
	h.pulls.rest()
	left := h.queue.close()
	h.mu.Lock()
	defer h.mu.Unlock()
	for timer, it := range h.delayed {
		timer.Stop()
		left.items = append(left.items, it)
	}
	h.queue.unhold(len(h.delayed))
	clear(h.delayed)
	return left
}

// undelay takes the packets that wait for their next attempt, and lets later
// ones not wait.
func (h *host) undelay() []item {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hurried = true
	out := make([]item, 0, len(h.delayed))
	for timer, it := range h.delayed {
		timer.Stop()
		out = append(out, it)
	}
	clear(h.delayed)
	return out
}

// ahead is how many packets may lie pulled.
func (h *host) ahead() int {
	workers := len(h.slots)
	known := h.cost.get()
	if known == 0 {
		return workers
	}
	return int(max(min(int64(pulledTime)*int64(workers)/int64(known), maxPulled), int64(workers)))
}

// grace is how long the seed may be full before its pulls from peers are called off.
// That leaves what comes there to other nodes; but calling a dozen nodes off and asking
// them again for every packet is work as well. So they are called off at once where
// packets would wait long, and where one pull brings so many that it is seldom.
func (h *host) grace() time.Duration {
	if c := h.cost.get(); c < time.Millisecond || c > batchTime {
		return 0
	}
	return batchTime
}

// second is the share of the second pull from a store. A slow seed has none: what its
// workers cannot begin soon is for other nodes.
func (h *host) second(ahead int) int {
	if ahead <= 2*len(h.slots) {
		return 0
	}
	return ahead / 2
}

// runID is the id of the seed's run on p; an injector's has it already.
func (h *host) runID(p *packet.Packet) packet.ID {
	if len(h.manifest.Contract.In) == 0 {
		return p.ID
	}
	return packet.RunID(h.key, p.Round(), p.ID)
}

// extend is the trail of what the seed gives for p on the node of that name.
func (h *host) extend(p *packet.Packet, node string, at time.Time) *packet.Hop {
	return &packet.Hop{Prev: p.Trail, Seed: h.name, Version: h.version(), Node: node, At: at, Depth: p.Hops() + 1}
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
