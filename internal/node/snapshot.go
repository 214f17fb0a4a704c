package node

import (
	"fmt"
	"slices"
	"strings"
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

// newSnapshot works out where every state goes on the node of that name. When it stops, no
// run begins any more.
func newSnapshot(node string, hosts map[seed.Name]*host, peers []*peer, subs subscriptions, stopping bool) *snapshot {
	snap := &snapshot{
		hosts: hosts, peers: peers, accept: map[packet.State][]dest{}, costs: awayCosts(hosts, peers),
		away: map[seed.Name]bool{}, ended: map[seed.Name]bool{},
	}
	all := hosted(node, hosts, peers)
	for name, contract := range subs.away(all) {
		if contract == nil {
			snap.ended[name] = true
			continue
		}
		snap.away[name] = true
		all = append(all, dtn.Hosted{Manifest: seed.Manifest{Name: name, Contract: *contract}, Away: true})
	}
	snap.net = dtn.New(all)
	for _, state := range snap.net.States() {
		routes := snap.net.Routes(state)
		for _, name := range routes {
			d := dest{name: name, inbox: store.Inbox(name), host: hosts[name], sole: len(routes) == 1}
			switch {
			case d.host == nil:
			case stopping:
				d.host = nil
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

// stands tells whether the seed's inbox lies still: its only host is this node,
// and it is paused or could not be loaded.
func (snap *snapshot) stands(name seed.Name) bool {
	h := snap.hosts[name]
	return h != nil && h.stuck() && len(snap.net.Replicas(name)) == 1
}

// whyHeld says why the seed's packets lie still; it is empty if they do not.
func (snap *snapshot) whyHeld(name seed.Name) string {
	switch h := snap.hosts[name]; {
	case !snap.stands(name):
		return ""
	case h.paused():
		return fmt.Sprintf("seed %s is paused: 'pmk resume %s' lets it run again", name, name)
	default:
		why := "it could not be loaded"
		if l := h.unloaded.Load(); l != nil && l.why() != nil {
			why, _, _ = strings.Cut(l.why().Error(), "\n")
		}
		return fmt.Sprintf("seed %s is not loaded, which is tried again: %s", name, why)
	}
}

// hosted is everything that the network is made of.
func hosted(node string, hosts map[seed.Name]*host, peers []*peer) []dtn.Hosted {
	all := make([]dtn.Hosted, 0, len(hosts))
	for _, h := range hosts {
		all = append(all, dtn.Hosted{Node: node, Manifest: h.manifest, Since: h.since.UnixNano()})
	}
	for _, p := range peers {
		card := p.Card()
		if card.Leaving {
			continue
		}
		for _, s := range card.Seeds {
			all = append(all, dtn.Hosted{Node: p.name, Manifest: s.Manifest, Since: s.Since.UnixNano()})
		}
	}
	return all
}

// awayCosts are what a packet takes the seeds that are not here: of several
// replicas the slowest.
func awayCosts(hosts map[seed.Name]*host, peers []*peer) map[seed.Name]time.Duration {
	costs := map[seed.Name]time.Duration{}
	for _, p := range peers {
		for _, s := range p.Card().Seeds {
			if name := s.Manifest.Name; s.Cost > costs[name] {
				costs[name] = s.Cost
			}
		}
	}
	return costs
}
