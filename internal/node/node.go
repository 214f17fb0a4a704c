// Package node is the shell of a node: it owns every goroutine, hosts seeds,
// and moves packets from seed to seed by the state of their data. What runs a
// seed, where seed files come from and how packets get in from outside are
// given to it.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Config is what a node is made from.
type Config struct {
	// Name names the node; see [NewName].
	Name string
	// Group is the name space its seeds and packets live in; "" means
	// "default".
	Group string
	// Run names this start of the node: injectors' packets take their ids
	// from it. "" draws one.
	Run string
	// Open makes the runner of a seed.
	Open runner.Opener
	// Print takes what seeds print, a line at a time; nil discards it.
	Print func(m seed.Manifest, line string)
	// MaxData is the most bytes that one packet may have; 0 means
	// [runner.DefaultMaxData].
	MaxData int64
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

// DefaultGroup is the group of a node that names none.
const DefaultGroup = "default"

// A Node hosts seeds and routes packets between them. All its methods are safe
// for concurrent use.
type Node struct {
	cfg   Config
	log   *slog.Logger
	clock clock

	snap    atomic.Pointer[snapshot]
	waits   *waiting
	changed chan struct{} // has an element when the snapshot is new

	// running ends when the node does; injecting already when it drains.
	running    context.Context
	stop       context.CancelFunc
	injecting  context.Context
	stopInject context.CancelFunc
	goroutines sync.WaitGroup

	entering  atomic.Int64 // packets on their way in from outside
	moving    atomic.Int64 // unparks under way
	abandoned atomic.Int64 // packets given up because the node ended

	change  sync.Mutex     // held while seeds come and go
	leaving map[*host]bool // seeds that finish what they have
	begun   bool           // injectors may run
	closed  bool
	onced   map[seed.Name]bool // injectors with pmk-once that have ended
}

// New makes a node. It hosts nothing yet and starts nothing.
func New(cfg Config) *Node {
	if cfg.Group == "" {
		cfg.Group = DefaultGroup
	}
	if cfg.Run == "" {
		cfg.Run = packet.NewID().String()[:8]
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if cfg.Print == nil {
		cfg.Print = func(seed.Manifest, string) {}
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, clock: clock{base: time.Now()},
		waits: newWaiting(), changed: make(chan struct{}, 1), onced: map[seed.Name]bool{}, leaving: map[*host]bool{},
	}
	n.running, n.stop = context.WithCancel(context.Background())
	n.injecting, n.stopInject = context.WithCancel(n.running)
	n.snap.Store(newSnapshot(cfg.Name, nil))
	return n
}

// Name is the node's name.
func (n *Node) Name() string { return n.cfg.Name }

// Group is the node's group.
func (n *Node) Group() string { return n.cfg.Group }

// Run starts the injectors and keeps the node going until ctx ends, then
// ends it at once: call [Node.Drain] before to have what is in flight
// finished. It returns when every goroutine and every process of the node has
// ended.
//
// A packet's way is this. An injector's run, or [Node.Inject], makes a root
// packet. route looks up in the snapshot which seeds accept its state; each
// gets a copy. If such a seed is a cheap Go function with nothing in its
// queue, runInline calls it at once, on the same goroutine. Otherwise the
// packet goes into the seed's queue, blocking while that is full: so the
// slowest seed holds back those before it, up to the injector. A free slot of
// the seed then pumps: it takes a batch of about 20 ms of work from the queue
// and gives it to its worker, with itself as the sink. What the seed emits
// comes back through slot.Emit, which gives it its id, its state and its hop,
// and routes it on. A run that fails comes to host.fail: again later, or to
// the state Error:<seed>. A packet that no seed accepts is parked until one
// comes. It ends when a run of it gives nothing more.
func (n *Node) Run(ctx context.Context) error {
	n.change.Lock()
	if n.begun || n.closed {
		n.change.Unlock()
		return errors.New("the node has run already")
	}
	n.begun = true
	for _, h := range n.snap.Load().hosts {
		n.startInjector(h)
	}
	n.change.Unlock()

	tick := time.NewTicker(idleLife / 6)
	defer tick.Stop()
	for {
		select {
		case <-n.changed:
			n.moving.Add(1)
			n.unpark(n.running)
			n.moving.Add(-1)
		case <-tick.C:
			for _, h := range n.snap.Load().hosts {
				h.reap(n.clock.now())
			}
		case <-ctx.Done():
			n.close()
			return nil
		}
	}
}

// close ends everything at once.
func (n *Node) close() {
	n.change.Lock()
	n.closed = true
	snap := n.snap.Load()
	n.snap.Store(newSnapshot(n.cfg.Name, nil)) // what still moves finds nothing and waits
	n.change.Unlock()
	n.stop()
	for _, h := range snap.hosts {
		left := h.queue.close()
		n.abandoned.Add(int64(len(left) + len(h.undelay())))
	}
	for _, h := range snap.hosts {
		h.closeSlots()
	}
	n.goroutines.Wait()
}

// Abandoned counts the packets that were given up because the node ended
// before they did, those that wait included.
func (n *Node) Abandoned() int {
	count := int(n.abandoned.Load())
	for _, w := range n.waits.look() {
		count += w.Packets
	}
	return count
}

// ErrDraining is a packet that comes while the node ends.
var ErrDraining = errors.New("the node is ending and takes no more packets")

// Inject takes a packet from outside: it returns once the packet has a place,
// in the queue of every seed that accepts it or among what waits. A packet
// without an id is given one, and a ship unless it has one.
func (n *Node) Inject(ctx context.Context, p packet.Packet) error {
	n.entering.Add(1)
	defer n.entering.Add(-1)
	if n.injecting.Err() != nil {
		return ErrDraining
	}
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return err
	}
	if limit := n.maxData(); int64(len(p.Data)) > limit {
		return fmt.Errorf("packet %s has %d bytes; at most %d are allowed", p.ID, len(p.Data), limit)
	}
	if p.ID.IsZero() {
		p.ID = packet.NewID()
	}
	if p.Ship.Root.IsZero() {
		p.Ship.Root = p.ID
	}
	if p.Ship.Node == "" {
		p.Ship.Node = n.cfg.Name
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.injecting, cancel)()
	err := n.route(ctx, nil, &p, n.snap.Load().dests(&p))
	if err != nil && n.injecting.Err() != nil {
		return ErrDraining
	}
	return err
}

func (n *Node) maxData() int64 {
	if n.cfg.MaxData > 0 {
		return n.cfg.MaxData
	}
	return runner.DefaultMaxData
}

// NewName draws a node's name: the host's, and eight digits that set apart the
// nodes on it.
func NewName(host string) string {
	name := []byte(host)
	for i, c := range name {
		if packet.CheckName("host", string(rune(c))) != nil {
			name[i] = '-'
		}
	}
	if len(name) > 32 {
		name = name[:32]
	}
	if len(name) == 0 {
		name = []byte("node")
	}
	return string(name) + "-" + packet.NewID().String()[:8]
}
