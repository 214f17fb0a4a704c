package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

const (
	// maxHops is how many seeds a packet may come through before it only
	// waits: it is in a loop that nobody meant.
	maxHops = 1000
	// maxRounds is how many Error: states a packet may come through before
	// it only waits.
	maxRounds = 3
)

// A snapshot is the network as it is between two changes: immutable, read
// without a lock.
type snapshot struct {
	net    *dtn.Network
	hosts  map[seed.Name]*host // the seeds that this node hosts
	peers  []*peer
	accept map[packet.State][]dest
	// costs is what a packet takes the seeds that only peers host, as far as
	// known.
	costs map[seed.Name]time.Duration
	// away are the seeds that no node hosts now and that accept nevertheless; ended
	// those that were removed wherever they were hosted.
	away, ended map[seed.Name]bool
}

// newSnapshot works out where every state goes.
func (n *Node) newSnapshot(hosts map[seed.Name]*host, peers []*peer, subs subscriptions) *snapshot {
	snap := &snapshot{
		hosts: hosts, peers: peers, accept: map[packet.State][]dest{}, costs: awayCosts(hosts, peers),
		away: map[seed.Name]bool{}, ended: map[seed.Name]bool{},
	}
	all := hosted(n.cfg.Name, hosts, peers)
	for name, contract := range subs.away(all) {
		if contract == nil {
			snap.ended[name] = true
			continue
		}
		snap.away[name] = true
		all = append(all, dtn.Hosted{Manifest: seed.Manifest{Name: name, Contract: *contract}, Away: true})
	}
	snap.net = dtn.New(all)
	stopping := n.pulling.Err() != nil
	for _, state := range snap.net.States() {
		routes := snap.net.Routes(state)
		for _, name := range routes {
			d := dest{name: name, inbox: store.Inbox(name), host: hosts[name], sole: len(routes) == 1}
			switch {
			case d.host == nil:
			case stopping:
				d.host = nil // no run begins any more
			case d.host.held():
				d.loading, d.host = d.host.unloaded.Load(), nil // what comes lies in the inbox until it runs
			case d.host.manifest.Spread && len(snap.net.Replicas(name)) > 1:
				d.host = nil // every replica is to have its turn
			}
			snap.accept[state] = append(snap.accept[state], d)
		}
	}
	return snap
}

// hosted tells whether any node hosts the seed.
func (snap *snapshot) hosted(name seed.Name) bool { return len(snap.net.Replicas(name)) > 0 }

// keeps tells whether what lies in the seed's inbox is for a node that hosts it, or that
// is away.
func (snap *snapshot) keeps(name seed.Name) bool { return snap.hosted(name) || snap.away[name] }

// frame is how many packets a frame for the seed may hold.
func (snap *snapshot) frame(name seed.Name) int {
	if h := snap.hosts[name]; h != nil {
		if h.cost.get() > 0 {
			return h.cost.frame()
		}
	}
	return framePackets(snap.costs[name])
}

// connect gives a seed its ports.
func (snap *snapshot) connect(h *host) {
	ports := make([]port, len(h.manifest.Contract.Out))
	for i, state := range h.manifest.Contract.Out {
		ports[i] = port{state: state, name: state.Name(), index: i, to: snap.within(h, snap.accept[state])}
	}
	h.ports.Store(&ports)
}

// within is to, with a send from h forced where it stays within a cycle.
func (snap *snapshot) within(h *host, to []dest) []dest {
	to = slices.Clone(to)
	for i := range to {
		to[i].forced = snap.net.SameCycle(h.manifest.Name, to[i].name)
	}
	return to
}

// dests is where a packet goes that may carry a wish.
func (snap *snapshot) dests(p *packet.Packet) []dest {
	to := snap.accept[p.State]
	if p.Hops() >= maxHops || p.DeadLetters > maxRounds {
		return nil
	}
	if p.Wish == nil || p.Wish.Goal == "" || p.Fault != nil {
		return to
	}
	var leading []dest
	for _, name := range snap.net.Toward(p.Wish.Goal, p.State) {
		for _, d := range to {
			if d.name == name {
				leading = append(leading, d)
			}
		}
	}
	return leading
}

// whyWaits says in a few words why nobody takes p.
func (snap *snapshot) whyWaits(p *packet.Packet) string {
	switch {
	case p.Hops() >= maxHops:
		return fmt.Sprintf("came through %d seeds", p.Hops())
	case p.DeadLetters > maxRounds:
		return fmt.Sprintf("came through %d Error: states", maxRounds)
	case p.Wish != nil && p.Wish.Goal != "" && len(snap.accept[p.State]) > 0:
		return "no seed that accepts it leads to " + string(p.Wish.Goal)
	}
	why := "no seed accepts it"
	if near, ok := snap.nearest(p.State); ok {
		why += "; nearest accepted: " + near
	}
	return why
}

func (snap *snapshot) nearest(state packet.State) (string, bool) {
	var known []string
	for s := range snap.accept {
		known = append(known, string(s))
	}
	return seed.Nearest(string(state), known)
}

// route gives it to every seed of to, or stores it under its state where there is none. It
// takes over the item's count, unless it fails. s is the slot that it comes from, nil for what
// comes from outside.
func (n *Node) route(ctx context.Context, s *slot, it *item, to []dest) error {
	if len(to) == 0 || it.Hops() >= maxHops {
		return n.keepWaiting(ctx, it)
	}
	if !it.from.anew() && it.from.has(store.Waiting(it.State), &it.Packet) {
		it.from.end(1) // it waited since, and went on from there
		return nil
	}
	for i := range to {
		last := i == len(to)-1
		if !it.from.anew() && it.from.has(to[i].inbox, &it.Packet) {
			if last {
				it.from.end(1)
			}
			continue
		}
		if s != nil && to[i].host != nil && to[i].host.runInline(s, it) {
			if last {
				it.from.end(1)
			}
			continue
		}
		if !last {
			it.from.hold()
		}
		err := n.give(ctx, s, it, to[i])
		if err != nil && i > 0 && it.from == nil && n.running.Err() == nil {
			d := to[i] // the copies before cannot be taken back
			d.forced = true
			err = n.give(n.running, s, it, d)
		}
		if err != nil {
			if !last {
				it.from.end(1)
			}
			return err
		}
	}
	return nil
}

// storePacket stores it in the inbox of every seed of to, or under its state where
// there is none. It takes over the item's count, unless it fails. What descends
// from a leased frame is stored together with all else that does; for any other
// packet the commit tells when it has landed.
func (n *Node) storePacket(ctx context.Context, it *item, to []dest) (*commit, error) {
	return n.storeFor(ctx, it, to, bringer{})
}

// storeFor is storePacket for what an intake has brought.
func (n *Node) storeFor(ctx context.Context, it *item, to []dest, from bringer) (*commit, error) {
	var few [4]lane // most packets have one destination
	lanes := few[:0]
	if len(to) == 0 || it.Hops() >= maxHops {
		lanes = append(lanes, lane{into: it.into(), queue: store.Waiting(it.State), rank: rank(it)})
	} else {
		for i := range to {
			lanes = append(lanes, to[i].lane(it))
		}
	}
	return n.storeIn(ctx, it, lanes, 0, from)
}

// storeIn stores it in these lanes, which lead into one store, and delays it
// there.
func (n *Node) storeIn(ctx context.Context, it *item, to []lane, after time.Duration, from bringer) (*commit, error) {
	if it.from == nil || to[0].into != it.into() {
		return n.committer(target{to[0].into, to[0].rank}).add(ctx, it, to, after, from)
	}
	for i := range to {
		last := i == len(to)-1
		if !last {
			it.from.hold()
		}
		if err := it.from.store(ctx, it, to[i], after); err != nil {
			if !last {
				it.from.end(1)
			}
			return nil, err
		}
	}
	return nil, nil
}

// storeAlone stores it in one queue.
func (n *Node) storeAlone(ctx context.Context, it *item, q store.Queue, after time.Duration) (*commit, error) {
	n.fit(&it.Packet)
	return n.storeIn(ctx, it, []lane{{into: it.into(), queue: q, rank: store.Descendant, attempt: attemptOf(it, after)}}, after, bringer{})
}

// attemptOf sets packets apart that are delayed.
func attemptOf(it *item, after time.Duration) int32 {
	if after == 0 {
		return 0
	}
	return it.Attempt
}

// give puts it into a seed's queue while that has room. Otherwise a packet that
// came out of the store goes back there, to the seed's inbox, and any other
// waits for room. A seed that is not here has an inbox alone.
func (n *Node) give(ctx context.Context, s *slot, it *item, to dest) error {
	if to.host == nil {
		_, err := n.storePacket(ctx, it, []dest{to})
		return err
	}
	how := block
	switch {
	case it.from != nil:
		how = refuse
	case to.forced:
		how = force
	}
	it.sole = to.sole
	waited, err := to.host.queue.push(ctx, it, how)
	if s != nil && !s.timing {
		s.away += waited
	}
	switch err {
	case nil:
		to.host.kick()
		return nil
	case errGone:
		n.reroute(it, to.host)
		return nil
	case errNoRoom:
		_, err = n.storePacket(ctx, it, []dest{to})
	}
	return err
}

// reroute finds a new place for a packet that was for a seed which is gone:
// with the seed's successor, by its state if the seed alone had it, or else in the
// seed's inbox. It
// never blocks for room, since the packet is in already.
func (n *Node) reroute(it *item, gone *host) {
	n.fit(&it.Packet)
	snap := n.snap.Load()
	to := snap.dests(&it.Packet)
	for _, d := range to {
		if d.name == gone.manifest.Name {
			to = []dest{d}
			break
		}
	}
	if !it.sole && gone.shared[it.State] && (len(to) == 0 || to[0].name != gone.manifest.Name) {
		n.leave(it, gone)
		return
	}
	if len(to) != 1 || to[0].name != gone.manifest.Name {
		n.noteMove(it, gone.name, to)
	}
	if len(to) == 0 {
		if err := n.keepWaiting(n.running, it); err != nil {
			n.abandon(it)
		}
		return
	}
	for _, d := range to {
		it.from.hold()
		if d.host == nil {
			if _, err := n.storePacket(n.running, it, []dest{d}); err != nil {
				n.abandon(it)
			}
			continue
		}
		if _, err := d.host.queue.push(n.running, it, force); err != nil {
			n.reroute(it, d.host) // gone as well
			continue
		}
		d.host.kick()
	}
	it.from.end(1)
}

// leave stores the copy of a seed that is gone in its inbox: the other seeds that
// accepted the packet have theirs, and this one waits for the seed to come back.
func (n *Node) leave(it *item, gone *host) {
	n.noteMove(it, gone.name, nil)
	f, err := n.storeAlone(n.running, it, gone.inbox, 0)
	if err == nil && f != nil {
		err = f.await(n.running)
	}
	if err != nil {
		n.abandon(it)
	}
}

// keepWaiting stores it under its state, unless an acceptor has come meanwhile.
func (n *Node) keepWaiting(ctx context.Context, it *item) error {
	if to := n.snap.Load().dests(&it.Packet); len(to) > 0 {
		n.noteMove(it, waitsIn+string(it.State), to)
		return n.route(ctx, nil, it, to)
	}
	if it.from != nil {
		f, err := n.storePacket(ctx, it, nil)
		if err != nil || f == nil {
			return err
		}
		return f.await(ctx)
	}
	in := n.Intake() // so that it can be withdrawn
	f, err := n.storeFor(ctx, it, nil, bringer{by: in})
	if err != nil {
		return err
	}
	in.started(f, false)
	return in.Flush(ctx)
}
