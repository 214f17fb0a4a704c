package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
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
	hosts  map[seed.Name]*host
	accept map[packet.State][]dest
}

// newSnapshot works out where every state goes.
func newSnapshot(node string, hosts map[seed.Name]*host) *snapshot {
	hosted := make([]dtn.Hosted, 0, len(hosts))
	for _, h := range hosts {
		hosted = append(hosted, dtn.Hosted{Node: node, Manifest: h.manifest})
	}
	snap := &snapshot{net: dtn.New(hosted), hosts: hosts, accept: map[packet.State][]dest{}}
	for _, state := range snap.net.States() {
		for _, name := range snap.net.Routes(state) {
			snap.accept[state] = append(snap.accept[state], dest{host: hosts[name]})
		}
	}
	return snap
}

// connect gives a seed its ports.
func (snap *snapshot) connect(h *host) {
	ports := make([]port, len(h.manifest.Contract.Out))
	for i, state := range h.manifest.Contract.Out {
		ports[i] = port{state: state, name: state.Name(), to: snap.within(h, snap.accept[state])}
	}
	h.ports.Store(&ports)
}

// within is to, with a send from h forced where it stays within a cycle.
func (snap *snapshot) within(h *host, to []dest) []dest {
	to = slices.Clone(to)
	for i := range to {
		to[i].forced = snap.net.SameCycle(h.manifest.Name, to[i].host.manifest.Name)
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
			if d.host.manifest.Name == name {
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

// route gives p to every seed of to, or lays it down where there is none. s is
// the slot that p comes from, nil for what comes from outside.
func (n *Node) route(ctx context.Context, s *slot, p *packet.Packet, to []dest) error {
	if len(to) == 0 || p.Hops() >= maxHops {
		return n.park(ctx, p)
	}
	for i := range to {
		h := to[i].host
		if s != nil && h.runInline(s, p) {
			continue
		}
		if err := n.give(ctx, s, p, to[i]); err != nil {
			return err
		}
	}
	return nil
}

// give puts p into a seed's queue.
func (n *Node) give(ctx context.Context, s *slot, p *packet.Packet, to dest) error {
	waited, err := to.host.queue.push(ctx, p, to.forced)
	if s != nil && !s.timing {
		s.away += waited
	}
	if err == errGone {
		n.reroute(p, to.host)
		return nil
	}
	if err != nil {
		return err
	}
	to.host.kick()
	return nil
}

// reroute finds a new place for a packet that was for a seed which is gone:
// with the seed's successor, or, if the seed alone had it, by its state. It
// never blocks for room, since the packet is in already.
func (n *Node) reroute(p *packet.Packet, gone *host) {
	for {
		snap := n.snap.Load()
		to := snap.dests(p)
		for _, d := range to {
			if d.host.manifest.Name == gone.manifest.Name {
				to = []dest{d}
				break
			}
		}
		if gone.shared[p.State] && (len(to) == 0 || to[0].host.manifest.Name != gone.manifest.Name) {
			return // the other acceptors have their copies
		}
		if len(to) == 0 {
			if put, err := n.tryPark(n.running, p); put || err != nil {
				return
			}
			continue
		}
		lost := false
		for _, d := range to {
			if _, err := d.host.queue.push(n.running, p, true); err != nil {
				lost = true
				continue
			}
			d.host.kick()
		}
		if !lost {
			return
		}
	}
}

// park lays p down under its state, unless an acceptor has come meanwhile.
func (n *Node) park(ctx context.Context, p *packet.Packet) error {
	for {
		put, err := n.tryPark(ctx, p)
		if put || err != nil {
			return err
		}
		for _, d := range n.snap.Load().dests(p) {
			if err := n.give(ctx, nil, p, d); err != nil {
				return err
			}
			put = true
		}
		if put {
			return nil
		}
	}
}

func (n *Node) tryPark(ctx context.Context, p *packet.Packet) (bool, error) {
	why := n.snap.Load().whyWaits(p)
	accepted := func() bool { return len(n.snap.Load().dests(p)) > 0 }
	full := func() {
		n.log.Warn(fmt.Sprintf("packets of %s are held back: %d MiB wait in memory already; start a seed that accepts what waits (pmk ps shows it)", p.State, maxWaitingBytes>>20))
	}
	put, first, err := n.waits.put(ctx, p, why, accepted, full)
	if first {
		n.log.Info(fmt.Sprintf("a packet waits in %s: %s", p.State, why))
	}
	return put, err
}

// unpark moves what waits to the seeds that accept it now. It blocks while
// their queues are full.
func (n *Node) unpark(ctx context.Context) {
	for {
		snap := n.snap.Load()
		moved := n.waits.claim(func(p *packet.Packet) bool { return len(snap.dests(p)) > 0 })
		if len(moved) == 0 {
			return
		}
		began := time.Now()
		for i := range moved {
			if err := n.route(ctx, nil, &moved[i], snap.dests(&moved[i])); err != nil {
				n.abandoned.Add(int64(len(moved) - i))
				return
			}
		}
		n.log.Info(fmt.Sprintf("%d packets no longer wait", len(moved)), "took", time.Since(began).Round(time.Millisecond))
	}
}
