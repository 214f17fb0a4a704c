package node

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/seed"
)

// Refused lists the seeds that this node does not host because the network has
// another contract under their name.
func (r *roster) Refused() []mesh.Refused {
	r.change.Lock()
	defer r.change.Unlock()
	return r.refusals()
}

// refusals is Refused; the caller holds r.change.
func (r *roster) refusals() []mesh.Refused {
	var out []mesh.Refused
	for _, name := range slices.Sorted(maps.Keys(r.refused)) {
		out = append(out, r.refused[name])
	}
	return out
}

// Card is what the node says of itself now.
func (r *roster) Card() mesh.Card { return r.said.Load().card }

// Changed gives a channel that is closed when the node says something else.
func (r *roster) Changed() <-chan struct{} { return r.said.Load().later }

// say makes a new card if there is something new to say: what a node says has its
// peers look at the network anew, and then say what has become of that. The caller
// holds r.change.
func (r *roster) say() {
	before := r.said.Load()
	known := map[seed.Name]time.Duration{}
	if before != nil {
		for _, s := range before.card.Seeds {
			known[s.Manifest.Name] = s.Cost
		}
	}
	card := mesh.Card{
		Node: r.cfg.Name, Boot: r.boot, Version: r.cfg.Version, Durable: r.durable(),
		Refused: r.refusals(), Known: r.subs.cards(), Leaving: r.injecting.Err() != nil,
	}
	snap := r.snap.Load()
	for _, name := range slices.Sorted(maps.Keys(snap.hosts)) {
		h := snap.hosts[name]
		card.Seeds = append(card.Seeds, mesh.Hosted{Manifest: h.declared(), Since: h.since, Cost: h.cost.rounded(known[name])})
	}
	if before != nil && reflect.DeepEqual(card, before.card) {
		return
	}
	r.said.Store(&said{card: card, later: make(chan struct{})})
	if before != nil {
		close(before.later)
	}
}

// sayCosts makes a new card if a cost in the last one is no longer true.
func (r *roster) sayCosts() {
	hosts := r.snap.Load().hosts
	for _, s := range r.Card().Seeds {
		if h := hosts[s.Manifest.Name]; h != nil && h.cost.rounded(s.Cost) != s.Cost {
			r.change.Lock()
			r.say()
			r.change.Unlock()
			return
		}
	}
}

// refuse takes the seeds out of hosts whose contract is not the network's, and
// remembers them: when the other contract has gone they are hosted again. The
// caller holds r.change.
func (r *roster) refuse(hosts map[seed.Name]*host, net *dtn.Network) (refused []*host) {
	for name, h := range hosts {
		contract, _ := net.Contract(name)
		if contract.Same(h.manifest.Contract) {
			continue
		}
		delete(hosts, name)
		refused = append(refused, h)
		r.setRefused(h.manifest, r.conflict(h.manifest))
		r.log.Error(fmt.Sprintf("seed %s of %s ends here: %s", name, where(h.manifest), r.refused[name].Why), "seed", name)
	}
	return refused
}

func (r *roster) setRefused(m seed.Manifest, why string) {
	r.refused[m.Name] = mesh.Refused{Manifest: m, Why: why}
}

// conflict says who hosts a seed of m's name with another contract; "" is nobody.
// The caller holds r.change.
func (r *roster) conflict(m seed.Manifest) string {
	for _, p := range r.peers {
		for _, s := range p.Card().Seeds {
			if s.Manifest.Name == m.Name && !s.Manifest.Contract.Same(m.Contract) {
				return fmt.Sprintf("its contract is %q, and the node %s hosts %s as %q; rename one with a line \"pmk-name: NAME\", or end the other",
					m.Contract, p.name, m.Name, s.Manifest.Contract)
			}
		}
	}
	return ""
}

func where(m seed.Manifest) string {
	if m.File == "" {
		return "this program"
	}
	return m.File
}
