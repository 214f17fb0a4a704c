// Package node runs one node: it owns every goroutine, hosts seeds, and moves
// packets from seed to seed by the state of their data. Its caller gives it the
// runners, the store and the other nodes, hosts seeds on it and injects packets.
package node

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/recap/pumpkin/packet"
)

// A Node hosts seeds and routes packets between them. All its methods are safe
// for concurrent use.
//
// It is made in layers, of which each knows only those below it: a [lifetime], the
// [ownStore], the [outlets] into stores, the [flow] from seed to seed, the [sorter] of what
// lies in the own store, the [lender] of that to peers, and the [roster] of the seeds and
// peers.
type Node struct{ *roster }

// New makes a node. It hosts nothing yet and starts nothing.
func New(cfg Config) *Node {
	f := newFlow(cfg)
	n := &Node{newRoster(newLender(newSorter(f)))}
	f.landed, f.noWorker = n.waitingStored, n.unload
	n.say()
	return n
}

// Run starts the injectors and keeps the node going until ctx ends, then
// ends it at once: call [Node.Drain] before to have what is in flight
// finished. It returns when every goroutine and every process of the node has
// ended.
//
// A packet's way is this; its stops are files, each below the one before, and in this order
// they read downhill. An injector's run (injectorsink.go), or [Node.Inject] (intake.go),
// makes a root packet. The snapshot says which seeds accept its state (snapshot.go), and
// storeFor (route.go) gives a copy for the inbox of each, or for the state's queue if there is
// none, to the committer (commit.go): all copies of a packet are in one commit, and the packets
// that come while one commit is on its way to the disk form the next. [Intake.Flush] returns
// when the commit has landed; only then does whoever gave the root go on.
//
// pull leases frames from the seed's inbox as its queue has room (pull.go). open makes the
// frame's origin, with a unit for each of its packets, which counts what descends from it and
// is only in memory: its lineage (lineage.go). The seed's crew pumps (crew.go): a free slot
// takes a batch of about 20 ms of work from the queue (queue.go) and gives it to its worker,
// with a run as the sink (batch.go, run.go). What the seed emits comes back through
// [run.Emit] (sink.go), which gives it its id, its state and its hop, and passes it on in
// memory (pass.go): a cheap Go function with an empty queue is called at once, on the same
// goroutine (inPlace), otherwise the packet goes into the seed's queue (give). If that is full,
// or the run long, unit.store adds it to what is to be stored of the frame.
//
// The packet ends when a run of it is done; what it gave has counts of its
// own. When the last unit of an origin has ended, the finisher stores what is to
// be stored of the frame and acknowledges it, in one transaction (finish.go); a frame that
// takes long or gives much is stored in parts, each with a record of the frame's
// progress (progress.go). If a unit had to be given up, or the node dies before, the frame is
// leased again, and what the records name is left out. A run that fails comes to
// fail (fail.go): again soon in memory, again later through the store, or to the
// state Error:<seed>. What waits under its state is moved by moveWaiting once a
// seed accepts it (waiting.go). Large data lies beside the frames, see setApart, and goes with
// the last of them (blobs.go).
//
// Where another node hosts the seed, it pulls the frame as a guest, through
// [Node.Serve] (serve.go), and this node keeps the lease for it, for a time also while nothing
// is heard of it (lent.go). A seed here is pulled for from the stores of all peers likewise;
// the frame's origin then knows whose it is. What descends from it is stored in the own store,
// and is on its disk before the peer hears of it, or, if that store is weaker, in the peer's
// (writer.go).
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
				n.reap(h, n.clock.now())
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
	n.snap.Store(newSnapshot(n.cfg.Name, nil, nil, nil, true)) // what still moves finds nothing and waits
	n.change.Unlock()
	n.stop()
	n.stopLending()
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
		n.goroutines.Go(func() { n.closeSlots(h) })
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
