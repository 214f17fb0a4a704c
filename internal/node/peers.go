package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/seed"
)

// tellSeeds says which seeds the peer hosts now, and which no more.
func (r *roster) tellSeeds(p *peer, seeds []mesh.Hosted) {
	before := map[seed.Name]seed.Manifest{}
	for _, s := range p.told {
		before[s.Manifest.Name] = s.Manifest
	}
	for _, s := range seeds {
		m := s.Manifest
		if old, ok := before[m.Name]; !ok || !sameVersion(old.Version, m.Version) || !old.Contract.Same(m.Contract) {
			r.log.Info(fmt.Sprintf("discovered seed %s %s at %s, node %s", m.Name, m.Contract, p.At(), p.name), "seed", m.Name, "node", p.name)
		}
		delete(before, m.Name)
	}
	for name := range before {
		r.log.Info(fmt.Sprintf("seed %s has gone from node %s", name, p.name), "seed", name, "node", p.name)
	}
	p.told = seeds
}

// sameVersion tells whether a seed has not changed: while it is loaded, what it imports is not
// known yet.
func sameVersion(before, now string) bool {
	return before == now || strings.HasPrefix(now, before+seed.VersionSeparator)
}

// Meet tells the node who its peers are, all of them, whenever that or a card has
// changed: seeds that they host take part in the network from here on.
func (r *roster) Meet(peers []mesh.Peer) {
	r.Recall()
	r.change.Lock()
	defer r.change.Unlock()
	if r.closed {
		return
	}
	known := map[mesh.Peer]*peer{}
	for _, p := range r.peers {
		known[p.Peer] = p
	}
	r.peers = nil
	for _, m := range peers {
		p, met := known[m]
		if !met {
			card := m.Card()
			p = &peer{Peer: m, name: card.Node, store: m.Store()}
			p.safer = p.store != nil && card.Durable && !r.durable()
			r.goroutines.Go(func() { r.forwardLedgers(p) })
		}
		delete(known, m)
		r.tellSeeds(p, m.Card().Seeds)
		r.peers = append(r.peers, p)
	}
	for range 2 { // that a seed was removed counts where the seed is known
		for _, p := range r.peers {
			r.saveLater(r.subs.merge(p.Card().Known))
		}
	}
	for _, p := range known {
		r.tellSeeds(p, nil)
		p.missed.Store(int64(r.clock.now()))
		r.forgetPeer(p)
	}
	slices.SortFunc(r.peers, func(a, b *peer) int { return strings.Compare(a.name, b.name) })
	r.swap(maps.Clone(r.snap.Load().hosts), nil)
	for _, p := range known {
		for _, h := range r.snap.Load().hosts {
			r.forgo(h, p)
		}
	}
	r.readmit()
}

// Peers are the nodes that this one works with now, by name.
func (r *roster) Peers() []mesh.Peer {
	var out []mesh.Peer
	for _, p := range r.snap.Load().peers {
		out = append(out, p.Peer)
	}
	return out
}

// readmit hosts again what was refused, where nobody has another contract any
// more. The caller holds r.change.
func (r *roster) readmit() {
	var back []seed.Manifest
	for name, other := range r.refused {
		if r.conflict(other.Manifest) == "" {
			back = append(back, other.Manifest)
			delete(r.refused, name)
		}
	}
	if len(back) == 0 || r.injecting.Err() != nil {
		return
	}
	r.goroutines.Go(func() {
		for i, err := range r.Host(r.running, back...) {
			if err != nil {
				r.log.Error(err.Error())
			} else {
				r.log.Info(fmt.Sprintf("seed %s of %s runs again: no node has another contract for it any more", back[i].Name, where(back[i])), "seed", back[i].Name)
			}
		}
	})
}

// forwardLedgers gives the peer the records that are for ledgers of its own, and
// were written here while it could not be reached.
func (r *roster) forwardLedgers(p *peer) {
	if p.store == nil {
		return
	}
	places, err := r.store.Queues(r.running)
	if err != nil {
		r.log.Debug("looking for ledgers of a peer", "node", p.name, "error", err)
		return
	}
	for _, c := range places {
		if _, ok := c.Queue.Ledger(); !ok {
			continue
		}
		if err := r.forwardLedger(p, c.Queue); err != nil {
			r.log.Debug("giving a peer what belongs into its ledgers", "node", p.name, "error", err)
			return
		}
	}
}

func (r *roster) forwardLedger(p *peer, at store.Queue) error {
	for f, err := range r.frames(r.running, at, 0) {
		if err != nil {
			return err
		}
		if len(f.packets) == 0 || f.packets[0].Ship.Node != p.name {
			return nil // all of a ledger are of one ship
		}
		if err := p.store.Append(r.running, at, store.Frame{Data: f.Data, Packets: len(f.packets), Rank: store.Descendant}); err != nil {
			return err
		}
		if err := r.store.Commit(r.running, &store.Tx{Remove: []store.Ref{{At: at, Number: f.Number}}}); err != nil {
			return err
		}
	}
	return nil
}
