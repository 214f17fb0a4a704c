package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/seed"
)

// The subscriptions are a table of the own store: SEED 0 NODE is the key, a
// subscriptionRecord in JSON the value. A node without a disk keeps them in memory.
const subscriptionTable store.Table = "subscriptions"

type subscriptionRecord struct {
	mesh.Known
	Away time.Duration `json:"away_ns,omitempty"`
}

func (k subKey) record() store.Key {
	return store.Key{In: subscriptionTable, Key: string(k.seed) + "\x00" + k.node}
}

// tellAfter is how long a seed is away before the log says so: of a node that comes, others
// may hear by each other first.
const tellAfter = 2 * time.Second

// resubscribe brings the subscriptions up to what runs now. The caller holds r.change.
func (r *roster) resubscribe(hosts map[seed.Name]*host) {
	self, shared := r.subscriber()
	all := hosted(r.cfg.Name, hosts, r.peers)
	var changed []subKey
	for name, h := range hosts {
		c := h.manifest.Contract
		if key := (subKey{name, self}); r.durable() && len(c.In) > 0 && !c.Join && r.subs.put(key, c) {
			changed = append(changed, key)
		}
	}
	if r.begun {
		for _, key := range r.subs.of(func(k subKey) bool { return k.node == self }) {
			ran := r.snap.Load().hosts[key.seed] != nil
			if r.told[key.seed] || shared && (!ran || slices.ContainsFunc(all, func(h dtn.Hosted) bool { return h.Manifest.Name == key.seed })) {
				continue
			}
			r.subs.remove(key)
			changed = append(changed, key)
			if !ran { // else who removed it says so
				r.log.Info(fmt.Sprintf("seed %s, which this node hosted before, was not loaded: nothing is kept for it here", key.seed), "seed", key.seed)
			}
		}
	}
	r.saveLater(append(changed, r.subs.observe(all)...))
}

// subscriber is the name under which this node subscribes its seeds. Nodes that share a
// store are one subscriber: each has another name at its next start.
func (r *roster) subscriber() (name string, shared bool) {
	if _, shared := r.store.(store.Shared); shared {
		return sharedStore, true
	}
	return r.cfg.Name, false
}

// tellAway says which seeds are away now, and which are no longer waited for. The caller
// holds r.change.
func (r *roster) tellAway(snap *snapshot) {
	if !r.begun {
		return // what was here before is about to be loaded
	}
	for name, since := range r.subs.since(snap.away) {
		if since >= tellAfter && !r.toldAway[name] {
			r.toldAway[name] = true
			r.log.Info(fmt.Sprintf("seed %s is away: packets are kept for it until a node hosts it again; 'pmk forget %s' ends that", name, name), "seed", name)
		}
	}
	for name := range r.toldAway {
		if snap.away[name] {
			continue
		}
		delete(r.toldAway, name)
		if !snap.hosted(name) {
			r.log.Info(fmt.Sprintf("nothing is kept for the seed %s any more: it was removed from every node that hosted it", name), "seed", name)
		}
	}
}

// saveLater has subscriptions written down. The caller holds r.change.
func (r *roster) saveLater(keys []subKey) {
	if !r.durable() || len(keys) == 0 {
		return
	}
	for _, key := range keys {
		r.unsaved[key] = true
	}
	select {
	case r.toSave <- struct{}{}:
	default:
	}
}
