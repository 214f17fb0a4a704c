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
}

// newSnapshot works out where every state goes.
func (n *Node) newSnapshot(hosts map[seed.Name]*host, peers []*peer) *snapshot {
	snap := &snapshot{
		net: dtn.New(hosted(n.cfg.Name, hosts, peers)), hosts: hosts, peers: peers,
		accept: map[packet.State][]dest{}, costs: awayCosts(hosts, peers),
	}
	in := map[seed.Name]*inlets{}
	for _, state := range snap.net.States() {
		routes := snap.net.Routes(state)
		for _, name := range routes {
			if in[name] == nil {
				in[name] = n.inlets(name)
			}
			d := dest{name: name, host: hosts[name], in: in[name], sole: len(routes) == 1}
			switch {
			case d.host == nil:
			case d.host.paused():
				d.host = nil // what comes lies in the inbox until it runs again
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
	if p.Hops() >= maxHops || p.Rounds > maxRounds {
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
	case p.Rounds > maxRounds:
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

// route gives it to every seed of to, or lays it down where there is none. It
// takes over the item's count, unless it fails. s is the slot that it comes from, nil for what
// comes from outside.
func (n *Node) route(ctx context.Context, s *slot, it *item, to []dest) error {
	if len(to) == 0 || it.Hops() >= maxHops {
		return n.park(ctx, it)
	}
	for i := range to {
		last := i == len(to)-1
		if s != nil && to[i].host != nil && to[i].host.runInline(s, it) {
			if last {
				it.from.end(1)
			}
			continue
		}
		if !last {
			it.from.hold()
		}
		if err := n.give(ctx, s, it, to[i]); err != nil {
			if !last {
				it.from.end(1)
			}
			return err
		}
	}
	return nil
}

// lay lays it down in the inbox of every seed of to, or under its state where
// there is none, and calls started with each commit. It takes over the item's
// count, unless it fails.
func (n *Node) lay(ctx context.Context, it *item, to []dest, started func(*commit)) error {
	if len(to) == 0 || it.Hops() >= maxHops {
		f, err := n.append(ctx, store.Waiting(it.State), it)
		if err == nil {
			started(f)
		}
		return err
	}
	for i := range to {
		last := i == len(to)-1
		if !last {
			it.from.hold()
		}
		f, err := to[i].lane(it).add(ctx, it, time.Time{})
		if err != nil {
			if !last {
				it.from.end(1)
			}
			return err
		}
		started(f)
	}
	return nil
}

// give puts it into a seed's queue while that has room. Otherwise a packet that
// came out of the store goes back there, to the seed's inbox, and any other
// waits for room. A seed that is not here has an inbox alone.
func (n *Node) give(ctx context.Context, s *slot, it *item, to dest) error {
	if to.host == nil {
		return n.lay(ctx, it, []dest{to}, func(*commit) {})
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
		return n.lay(ctx, it, []dest{to}, func(*commit) {})
	}
	return err
}

// reroute finds a new place for a packet that was for a seed which is gone:
// with the seed's successor, by its state if the seed alone had it, or else in the
// seed's inbox. It
// never blocks for room, since the packet is in already.
func (n *Node) reroute(it *item, gone *host) {
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
		if err := n.park(n.running, it); err != nil {
			n.giveUp(it)
		}
		return
	}
	for _, d := range to {
		it.from.hold()
		if d.host == nil {
			if err := n.lay(n.running, it, []dest{d}, func(*commit) {}); err != nil {
				n.giveUp(it)
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

// leave lays the copy of a seed that is gone into its inbox: the other seeds that
// accepted the packet have theirs, and this one waits for the seed to come back.
func (n *Node) leave(it *item, gone *host) {
	n.noteMove(it, gone.name, nil)
	f, err := n.committer(lane{into: it.into(), place: store.Inbox(gone.manifest.Name), rank: store.Descendant}).add(n.running, it, time.Time{})
	if err == nil && it.from == nil {
		err = f.await(n.running)
	}
	if err != nil {
		n.giveUp(it)
	}
}

// park lays it down under its state, unless an acceptor has come meanwhile.
func (n *Node) park(ctx context.Context, it *item) error {
	if to := n.snap.Load().dests(&it.Packet); len(to) > 0 {
		n.noteMove(it, waitsIn+string(it.State), to)
		return n.route(ctx, nil, it, to)
	}
	var laid *commit
	err := n.lay(ctx, it, nil, func(f *commit) { laid = f })
	if err != nil || it.from != nil {
		return err
	}
	return laid.await(ctx)
}
