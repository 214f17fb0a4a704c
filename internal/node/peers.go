package node

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A peer is another node as this one uses it.
type peer struct {
	mesh.Peer
	node  *Node
	name  string
	store mesh.Store // nil where both share one store
	// safer says that what lies in its store outlives what lies in the own one.
	safer bool
	told  []mesh.Hosted // what it hosts, as far as that was said
	// missed is when it was gone, by the node's clock; 0 while it is there.
	missed atomic.Int64
}

// tell says which seeds the peer hosts now, and which no more.
func (p *peer) tell(seeds []mesh.Hosted) {
	before := map[seed.Name]seed.Manifest{}
	for _, s := range p.told {
		before[s.Manifest.Name] = s.Manifest
	}
	for _, s := range seeds {
		m := s.Manifest
		if old, ok := before[m.Name]; !ok || !sameVersion(old.Version, m.Version) || !sameContract(old.Contract, m.Contract) {
			p.node.log.Info(fmt.Sprintf("discovered seed %s %s at %s, node %s", m.Name, m.Contract, p.At(), p.name))
		}
		delete(before, m.Name)
	}
	for name := range before {
		p.node.log.Info(fmt.Sprintf("seed %s has gone from node %s", name, p.name))
	}
	p.told = seeds
}

// sameVersion tells whether a seed has not changed: while it is loaded, what it imports is not known yet.
func sameVersion(before, now string) bool {
	return before == now || strings.HasPrefix(now, before+seed.VersionSeparator)
}

// Meet tells the node who its peers are, all of them, whenever that or a card has
// changed: seeds that they host take part in the network from here on.
func (n *Node) Meet(peers []mesh.Peer) {
	n.Recall()
	n.change.Lock()
	defer n.change.Unlock()
	if n.closed {
		return
	}
	known := map[mesh.Peer]*peer{}
	for _, p := range n.peers {
		known[p.Peer] = p
	}
	n.peers = nil
	for _, m := range peers {
		p, met := known[m]
		if !met {
			card := m.Card()
			p = &peer{Peer: m, node: n, name: card.Node, store: m.Store()}
			p.safer = p.store != nil && card.Durable && !n.durable()
			n.goroutines.Go(func() { n.forwardLedgers(p) })
		}
		delete(known, m)
		p.tell(m.Card().Seeds)
		n.peers = append(n.peers, p)
	}
	for range 2 { // that a seed was removed counts where the seed is known
		for _, p := range n.peers {
			n.saveLater(n.subs.merge(p.Card().Known))
		}
	}
	for _, p := range known {
		p.tell(nil)
		n.forgetPeer(p)
	}
	slices.SortFunc(n.peers, func(a, b *peer) int { return strings.Compare(a.name, b.name) })
	n.swap(maps.Clone(n.snap.Load().hosts), nil)
	for _, p := range known {
		for _, h := range n.snap.Load().hosts {
			h.forgo(p)
		}
	}
	n.readmit()
}

// Peers are the nodes that this one works with now, by name.
func (n *Node) Peers() []mesh.Peer {
	var out []mesh.Peer
	for _, p := range n.snap.Load().peers {
		out = append(out, p.Peer)
	}
	return out
}

// forgetPeer lets go of what was kept about a node that is gone.
func (n *Node) forgetPeer(p *peer) {
	p.missed.Store(int64(n.clock.now()))
	n.committers.Range(func(t, c any) bool {
		if t.(target).into == p && c.(*committer).idle() {
			n.committers.Delete(t)
		}
		return true
	})
	n.finishers.Range(func(kind, f any) bool {
		if kind.(finishing).into == p && f.(*finisher).idle() {
			n.finishers.Delete(kind)
		}
		return true
	})
	n.givenBack.Range(func(d, _ any) bool {
		if d.(delivery).from == p {
			n.givenBack.Delete(d)
		}
		return true
	})
}

// peer is the live peer of that name; nil if there is none.
func (n *Node) peer(name string) *peer {
	for _, p := range n.snap.Load().peers {
		if p.name == name {
			return p
		}
	}
	return nil
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

// refuse takes the seeds out of hosts whose contract is not the network's, and
// remembers them: when the other contract has gone they are hosted again. The
// caller holds n.change.
func (n *Node) refuse(hosts map[seed.Name]*host, net *dtn.Network) (refused []*host) {
	for name, h := range hosts {
		contract, _ := net.Contract(name)
		if sameContract(contract, h.manifest.Contract) {
			continue
		}
		delete(hosts, name)
		refused = append(refused, h)
		n.setRefused(h.manifest, n.conflict(h.manifest))
		n.log.Error(fmt.Sprintf("seed %s of %s ends here: %s", name, where(h.manifest), n.refused[name].Why))
	}
	return refused
}

func (n *Node) setRefused(m seed.Manifest, why string) {
	n.refused[m.Name] = mesh.Refused{Manifest: m, Why: why}
}

// conflict says who hosts a seed of m's name with another contract; "" is nobody.
// The caller holds n.change.
func (n *Node) conflict(m seed.Manifest) string {
	for _, p := range n.peers {
		for _, s := range p.Card().Seeds {
			if s.Manifest.Name == m.Name && !sameContract(s.Manifest.Contract, m.Contract) {
				return fmt.Sprintf("its contract is %q, and the node %s hosts %s as %q; rename one with a line \"pmk-name: NAME\", or end the other",
					m.Contract, p.name, m.Name, s.Manifest.Contract)
			}
		}
	}
	return ""
}

// sameContract tells whether two contracts say the same.
func sameContract(a, b seed.Contract) bool {
	same := func(a, b []string) bool { return slices.Equal(a, b) }
	return a.Join == b.Join && same(sortedTexts(a.In), sortedTexts(b.In)) && same(sortedTexts(a.Out), sortedTexts(b.Out))
}

func sortedTexts[T ~string](states []T) []string {
	texts := make([]string, len(states))
	for i, s := range states {
		texts[i] = string(s)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// readmit hosts again what was refused, where nobody has another contract any
// more. The caller holds n.change.
func (n *Node) readmit() {
	var back []seed.Manifest
	for name, r := range n.refused {
		if n.conflict(r.Manifest) == "" {
			back = append(back, r.Manifest)
			delete(n.refused, name)
		}
	}
	if len(back) == 0 || n.injecting.Err() != nil {
		return
	}
	n.goroutines.Go(func() {
		for i, err := range n.Host(n.running, back...) {
			if err != nil {
				n.log.Error(err.Error())
			} else {
				n.log.Info(fmt.Sprintf("seed %s of %s runs again: no node has another contract for it any more", back[i].Name, where(back[i])))
			}
		}
	})
}

// Refused lists the seeds that this node does not host because the network has
// another contract under their name.
func (n *Node) Refused() []mesh.Refused {
	n.change.Lock()
	defer n.change.Unlock()
	return n.refusals()
}

// refusals is Refused; the caller holds n.change.
func (n *Node) refusals() []mesh.Refused {
	var out []mesh.Refused
	for _, name := range slices.Sorted(maps.Keys(n.refused)) {
		out = append(out, n.refused[name])
	}
	return out
}

// A said is what the node says of itself, until it says something else.
type said struct {
	card  mesh.Card
	later chan struct{} // closed when there is another
}

// Card is what the node says of itself now.
func (n *Node) Card() mesh.Card { return n.said.Load().card }

// Changed gives a channel that is closed when the node says something else.
func (n *Node) Changed() <-chan struct{} { return n.said.Load().later }

// say makes a new card if there is something new to say: what a node says has its
// peers look at the network anew, and then say what has become of that. The caller
// holds n.change.
func (n *Node) say() {
	before := n.said.Load()
	known := map[seed.Name]time.Duration{}
	if before != nil {
		for _, s := range before.card.Seeds {
			known[s.Manifest.Name] = s.Cost
		}
	}
	card := mesh.Card{
		Node: n.cfg.Name, Boot: n.boot, Version: n.cfg.Version, Durable: n.durable(),
		Refused: n.refusals(), Known: n.subs.cards(), Leaving: n.injecting.Err() != nil,
	}
	snap := n.snap.Load()
	for _, name := range slices.Sorted(maps.Keys(snap.hosts)) {
		h := snap.hosts[name]
		card.Seeds = append(card.Seeds, mesh.Hosted{Manifest: h.declared(), Since: h.since, Cost: h.cost.rounded(known[name])})
	}
	if before != nil && reflect.DeepEqual(card, before.card) {
		return
	}
	n.said.Store(&said{card: card, later: make(chan struct{})})
	if before != nil {
		close(before.later)
	}
}

// sayCosts makes a new card if a cost in the last one is no longer true.
func (n *Node) sayCosts() {
	hosts := n.snap.Load().hosts
	for _, s := range n.Card().Seeds {
		if h := hosts[s.Manifest.Name]; h != nil && h.cost.rounded(s.Cost) != s.Cost {
			n.change.Lock()
			n.say()
			n.change.Unlock()
			return
		}
	}
}

// forwardLedgers gives the peer the records that are for ledgers of its own, and
// were written here while it could not be reached.
func (n *Node) forwardLedgers(p *peer) {
	if p.store == nil {
		return
	}
	places, err := n.store.Queues(n.running)
	if err != nil {
		n.log.Debug("looking for ledgers of a peer", "node", p.name, "error", err)
		return
	}
	for _, c := range places {
		if _, ok := c.Queue.Ledger(); !ok {
			continue
		}
		if err := n.forwardLedger(p, c.Queue); err != nil {
			n.log.Debug("giving a peer what belongs into its ledgers", "node", p.name, "error", err)
			return
		}
	}
}

func (n *Node) forwardLedger(p *peer, at store.Queue) error {
	var theirs []store.Stored
	err := n.store.Look(n.running, at, 0, func(r store.Stored) bool {
		if ledgerOwner(r.Data) != p.name {
			return false // all of a ledger are of one ship
		}
		theirs = append(theirs, r)
		return true
	})
	for _, r := range theirs {
		if err == nil {
			_, ps, _ := packet.ParseFrame(r.Data) // ledgerOwner has read it
			err = p.store.Append(n.running, at, store.Frame{Data: r.Data, Packets: len(ps), Rank: store.Descendant})
		}
		if err == nil {
			err = n.store.Commit(n.running, &store.Tx{Remove: []store.Ref{{At: at, Number: r.Number}}})
		}
	}
	return err
}
