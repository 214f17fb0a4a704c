// Package node runs one node: it owns every goroutine, hosts seeds, and moves
// packets from seed to seed by the state of their data. Its caller gives it the
// runners, the store and the other nodes, hosts seeds on it and injects packets.
package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
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
	// Version is that of the program, for people.
	Version string
	// Run names this start of the node: injectors' packets take their ids
	// from it. "" draws one.
	Run string
	// Open makes the runner of a seed.
	Open runner.Opener
	// LoadTimeout is how long a worker may take until its seed is loaded; 0 is as long
	// as its process lives.
	LoadTimeout time.Duration
	// Store is where packets rest; every node needs one. The node does not
	// close it.
	Store store.Store
	// Blobs keep the data that is too large for a frame; nil means that such
	// data cannot be stored.
	Blobs store.Blobs
	// SetAside keeps the bytes of a frame that cannot be read; nil leaves it
	// in the store.
	SetAside func(at store.Queue, number uint64, data []byte) error
	// Durability says what passes through the store.
	Durability Durability
	// Print takes what seeds print, a line at a time; nil discards it. Its error fails
	// the run of an extractor.
	Print func(m seed.Manifest, line string) error
	// MaxData is the most bytes that one packet may have in memory, and an output of a
	// seed; 0 means [runner.DefaultMaxData]. What comes in as a file or a stream may have
	// as much as the store takes.
	MaxData int64
	// Away is how long a seed stays an acceptor while no node hosts it, by the time
	// that this node runs; 0 means [DefaultAway].
	Away time.Duration
	// Tracer makes spans of the runs; nil makes none.
	Tracer Tracer
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

	boot    packet.ID // drawn for this process
	snap    atomic.Pointer[snapshot]
	said    atomic.Pointer[said]
	store   store.Store
	blobs   store.Blobs
	changed chan struct{} // has an element when the snapshot is new

	committers sync.Map                           // of target: *committer
	finishers  sync.Map                           // of finishing: *finisher
	patience   time.Duration                      // with inboxes whose seed has no host
	pauseAfter func(failures int32) time.Duration // before the next attempt
	givenBack  sync.Map                           // of delivery: how often, an *atomic.Int64
	waits      *waits
	ledgers    ledgers
	backlogs   backlogs
	history    history
	progressed progressed
	borrowers  borrowers
	noted      chan struct{} // has an element when a note of a lease is to be written out
	turns      turns
	watch      watch
	holding    sync.Once
	recalled   sync.Once
	emptying   sync.Mutex    // held while frames leave an inbox that nobody pulls from
	toSave     chan struct{} // has an element when subscriptions are to be written down
	orphaned   chan struct{} // has an element when one has ended
	seen       *seen
	trouble    atomic.Bool  // the store takes no packets, and that was said
	failed     atomic.Int64 // when an append failed last, by the node's clock

	// running ends when the node does; injecting already when it drains.
	running    context.Context
	stop       context.CancelFunc
	injecting  context.Context
	stopInject context.CancelFunc
	pulling    context.Context // ends when nothing more is to come out of the store
	stopPull   context.CancelFunc
	goroutines sync.WaitGroup

	entering  atomic.Int64 // calls from outside that move packets
	moving    atomic.Int64 // packets that come to seeds from what waits or was pulled
	abandoned atomic.Int64 // packets given up because the node ended
	damage    atomic.Int64 // frames that could not be read
	lapsed    atomic.Int64 // leases that peers have lost: they were silent for too long, or died
	appends   appendTimes

	change  sync.Mutex     // held while seeds come and go
	leaving map[*host]bool // seeds that finish what they have
	ran     bool           // Run was called
	begun   bool           // injectors may run
	folders atomic.Pointer[func() []Folder]
	closed  bool
	peers   []*peer // by name
	refused map[seed.Name]mesh.Refused
	next    map[seed.Name]*host // versions that take the place of seeds once they are loaded
	subs    subscriptions
	told    map[seed.Name]bool // the seeds that the node was told to host
	// toldAway are the seeds of which it was said that they are away.
	toldAway map[seed.Name]bool
	unsaved  map[subKey]bool
	halted   map[seed.Name]chan struct{} // paused seeds; closed when they run again
	onced    map[seed.Name]bool          // injectors with pmk-once that have ended, as far as is known without the store
}

// New makes a node. It hosts nothing yet and starts nothing.
func New(cfg Config) *Node {
	if cfg.Group == "" {
		cfg.Group = DefaultGroup
	}
	if cfg.Run == "" {
		cfg.Run = packet.NewID().String()[:8]
	}
	if cfg.MaxData == 0 {
		cfg.MaxData = runner.DefaultMaxData
	}
	if cfg.Away == 0 {
		cfg.Away = DefaultAway
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if cfg.Print == nil {
		cfg.Print = func(seed.Manifest, string) error { return nil }
	}
	n := &Node{
		cfg: cfg, patience: patience, pauseAfter: retryDelay, log: cfg.Log, clock: clock{base: time.Now()},
		store: cfg.Store, waits: newWaits(), ledgers: ledgers{open: map[packet.ID]*ledger{}, over: map[packet.ID]bool{}}, changed: make(chan struct{}, 1), onced: map[seed.Name]bool{}, leaving: map[*host]bool{},
		boot: packet.NewID(), refused: map[seed.Name]mesh.Refused{}, halted: map[seed.Name]chan struct{}{}, next: map[seed.Name]*host{},
		subs: subscriptions{}, told: map[seed.Name]bool{}, toldAway: map[seed.Name]bool{}, unsaved: map[subKey]bool{},
		toSave: make(chan struct{}, 1), orphaned: make(chan struct{}, 1),
		watch: watch{woken: make(chan struct{}, 1)},
	}
	if cfg.Blobs != nil {
		n.blobs = boundedBlobs{cfg.Blobs, n}
	}
	n.noted = make(chan struct{}, 1)
	n.borrowers.of, n.borrowers.known = map[packet.ID]*lent{}, make(chan struct{})
	n.seen = newSeen(n.store, cfg.Durability, n.clock)
	n.running, n.stop = context.WithCancel(context.Background())
	n.injecting, n.stopInject = context.WithCancel(n.running)
	n.pulling, n.stopPull = context.WithCancel(n.running)
	n.snap.Store(n.newSnapshot(nil, nil, nil))
	n.say()
	return n
}

// Boot names this process of the node.
func (n *Node) Boot() packet.ID { return n.boot }

// Name is the node's name.
func (n *Node) Name() string { return n.cfg.Name }

// Started tells whether the node runs: its injectors may, and what lies in its store moves.
func (n *Node) Started() bool {
	n.change.Lock()
	defer n.change.Unlock()
	return n.begun
}

// Leaving tells whether the node finishes what it has, or has ended.
func (n *Node) Leaving() bool { return n.injecting.Err() != nil }

// Ended is closed when the node ends.
func (n *Node) Ended() <-chan struct{} { return n.running.Done() }

// MaxData is the most data that a packet may have in memory, in bytes.
func (n *Node) MaxData() int64 { return n.cfg.MaxData }

// RunName names this start of the node.
func (n *Node) RunName() string { return n.cfg.Run }

// Group is the node's group.
func (n *Node) Group() string { return n.cfg.Group }

// Run starts the injectors and keeps the node going until ctx ends, then
// ends it at once: call [Node.Drain] before to have what is in flight
// finished. It returns when every goroutine and every process of the node has
// ended.
//
// A packet's way is this. An injector's run, or [Node.Inject], makes a root
// packet. The snapshot says which seeds accept its state, and storeFor gives a
// copy for the inbox of each, or for the state's queue if there is none, to the
// committer: all copies of a packet are in one commit, and the packets that come
// while one commit is on its way to the disk form the next. [Intake.Flush]
// returns when the commit has landed; only then does whoever gave the root go on.
//
// host.pull leases frames from the seed's inbox as its queue has room. open
// makes the frame's origin, with a unit for each of its packets, which counts
// what descends from it and is only in memory: its lineage. A free slot of the seed pumps: it takes a
// batch of about 20 ms of work from the queue and gives it to its worker, with
// itself as the sink. What the seed emits comes back through slot.Emit, which
// gives it its id, its state and its hop, and passes it on in memory: route
// calls a cheap Go function with an empty queue at once, on the same goroutine
// (runInline), and otherwise puts the packet into the seed's queue. If that is
// full, or the run long, unit.store adds it to what is to be stored of the frame.
//
// The packet ends when a run of it is done; what it gave has counts of its
// own. When the last unit of an origin has ended, the finisher stores what is to
// be stored of the frame and acknowledges it, in one transaction; a frame that
// takes long or gives much is stored in parts, each with a record of the frame's
// progress. If a unit had to be given up, or the node dies before, the frame is
// leased again, and what the records name is left out. A run that fails comes to
// host.fail: again soon in memory, again later through the store, or to the
// state Error:<seed>. What waits under its state is moved by moveWaiting once a
// seed accepts it. Large data lies beside the frames, see setApart, and goes with
// the last of them.
//
// Where another node hosts the seed, it pulls the frame as a guest, through
// [Node.Serve], and this node keeps the lease for it, for a time also while nothing
// is heard of it. A seed here is pulled for from the stores of all peers likewise;
// the frame's origin then knows whose it is. What descends from it is stored in the own store, and is on its disk before
// the peer hears of it, or, if that store is weaker, in the peer's.
//
// With durability [None] roots are routed as outputs are, without an origin,
// blocking while a queue is full: so the slowest seed holds back those before
// it, up to the injector. Only what waits lies in the store.
func (n *Node) Run(ctx context.Context) error {
	n.change.Lock()
	if n.ran || n.closed {
		n.change.Unlock()
		return errors.New("the node has run already")
	}
	n.ran = true
	n.change.Unlock()
	endSoon := context.AfterFunc(ctx, n.stop)
	n.Recall()
	n.holdLeft()
	n.learnProgress()
	n.restoreLent()
	n.wantStored(n.running)
	endSoon()
	n.change.Lock()
	n.begun = true
	if ctx.Err() == nil { // what is not loaded by now was removed
		n.swap(maps.Clone(n.snap.Load().hosts), nil)
	}
	for _, h := range n.snap.Load().hosts {
		n.startPull(h, n.peers)
		n.startInjector(h)
	}
	n.change.Unlock()
	n.waits.rescan()
	n.goroutines.Go(n.moveWaiting)
	n.goroutines.Go(func() {
		if err := n.clearLedgers(n.running); err != nil && n.running.Err() == nil {
			n.log.Warn("removing old ledgers", "error", err)
		}
	})
	n.goroutines.Go(func() {
		n.seen.run(n.running, func(err error) { n.log.Warn("removing old ids of packets from outside", "error", err) })
	})
	n.goroutines.Go(n.writeNotesOut)
	n.goroutines.Go(n.moveOrphans)
	n.goroutines.Go(n.keepSubscriptions)
	n.goroutines.Go(n.watchBacklogs)

	tick := time.NewTicker(reapTime)
	defer tick.Stop()
	look := time.NewTimer(lookTime)
	defer look.Stop()
	for {
		select {
		case <-n.changed:
			n.waits.rescan()
		case <-n.watch.woken:
			look.Reset(lookTime)
		case <-look.C:
			n.sayCosts()
			n.relieve()
			n.history.relax(time.Now())
			if !n.sleep() {
				look.Reset(lookTime)
			}
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

// reapTime is how often workers are looked for that have had nothing to do for long.
const reapTime = 5 * time.Second

// lookTime is how soon peers learn that a seed has become slower or faster, and how soon
// it is seen that all its workers are at long runs.
const lookTime = 200 * time.Millisecond

// close ends everything at once.
func (n *Node) close() {
	n.change.Lock()
	n.closed = true
	snap := n.snap.Load()
	n.snap.Store(n.newSnapshot(nil, nil, nil)) // what still moves finds nothing and waits
	n.change.Unlock()
	n.stop()
	n.borrowers.stop()
	var left []item
	for _, h := range snap.hosts {
		left = append(left, h.undelay()...)
	}
	// Who is on the way in leaves soon, and may have started a goroutine until
	// then; nobody comes after.
	for n.entering.Load() > 0 {
		time.Sleep(drainPoll)
	}
	for _, h := range snap.hosts {
		queued := h.queue.close()
		left = append(left, append(queued.all(), h.undelay()...)...)
	}
	for i := range left {
		n.abandon(&left[i])
	}
	for _, h := range snap.hosts {
		n.goroutines.Go(h.closeSlots)
	}
	n.goroutines.Wait()
}

// Abandoned counts the packets that were given up because the node ended
// before they did, those in a store included that ends with the node.
func (n *Node) Abandoned() int {
	count := int(n.abandoned.Load())
	if n.durable() {
		return count
	}
	left, err := n.count(context.Background())
	if err != nil {
		n.log.Error("counting what is left in the store", "error", err)
	}
	return count + left
}

// Left counts the packets that lie in a store that outlives the node.
func (n *Node) Left(ctx context.Context) (int, error) {
	if !n.durable() {
		return 0, nil
	}
	return n.count(ctx)
}

// count is how many packets lie in the store.
func (n *Node) count(ctx context.Context) (count int, err error) {
	places, err := n.store.Queues(ctx)
	for _, c := range places {
		if c.Queue.Packets() {
			count += c.Packets
		}
	}
	return count, err
}

// ErrDraining is a packet that comes while the node ends.
var ErrDraining = errors.New("the node is ending and takes no more packets")

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
