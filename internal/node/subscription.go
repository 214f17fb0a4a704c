package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/seed"
)

// A subscription is what a node knows of a seed of a node with a disk. The seed
// accepts its states as long as one of its subscriptions is not removed, whether the
// node is there or not.
type subscription struct {
	mesh.Known
	live bool // the node is there and hosts it
	// away is how long this node has run while the other was not there, or the seed
	// not on it.
	away time.Duration
}

type subKey struct {
	seed seed.Name
	node string
}

// sharedStore stands for all nodes that share a store.
const sharedStore = InCluster

// subscriptions are all that a node knows of. Its methods change nothing else.
type subscriptions map[subKey]*subscription

// maxSubscriptions is how many a node learns of from others.
const maxSubscriptions = 4096

// cards is what the node tells others.
func (subs subscriptions) cards() (out []mesh.Known) {
	for _, s := range subs {
		out = append(out, s.Known)
	}
	slices.SortFunc(out, func(a, b mesh.Known) int { return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Node, b.Node)) })
	return out
}

// merge takes in what another node knows and gives the keys of what is new. That a seed
// was removed is news only about a subscription that is known: so what all have
// forgotten does not come back.
func (subs subscriptions) merge(others []mesh.Known) (changed []subKey) {
	for _, k := range others {
		key := subKey{k.Seed, k.Node}
		s := subs[key]
		switch {
		case s == nil && (k.Removed || len(subs) >= maxSubscriptions):
			continue
		case s == nil:
			s = new(subscription)
			subs[key] = s
		case k.Number < s.Number, k.Number == s.Number && (s.Removed || !k.Removed):
			continue
		}
		if s.Removed != k.Removed {
			s.away = 0
		}
		s.Known = k
		changed = append(changed, key)
	}
	return changed
}

// put subscribes a seed of a node, and tells whether that is new.
func (subs subscriptions) put(key subKey, c seed.Contract) bool {
	s := subs[key]
	switch {
	case s == nil:
		s = &subscription{Known: mesh.Known{Seed: key.seed, Node: key.node}}
		subs[key] = s
	case !s.Removed && s.Contract.Same(c):
		return false
	}
	s.Number++
	s.Contract, s.Removed, s.away = c, false, 0
	return true
}

// remove ends a subscription, and tells whether it went on until now.
func (subs subscriptions) remove(key subKey) bool {
	s := subs[key]
	if s == nil || s.Removed {
		return false
	}
	s.Number++
	s.Removed, s.away = true, 0
	return true
}

// observe notes which of the subscribed seeds run, and removes those whose name a seed
// with another contract has taken. It gives the keys of what changed.
func (subs subscriptions) observe(all []dtn.Hosted) (changed []subKey) {
	taken := map[seed.Name][]dtn.Hosted{}
	for _, h := range all {
		taken[h.Manifest.Name] = append(taken[h.Manifest.Name], h)
	}
	for key, s := range subs {
		s.live = slices.ContainsFunc(taken[key.seed], func(h dtn.Hosted) bool {
			return (h.Node == key.node || key.node == sharedStore) && h.Manifest.Contract.Same(s.Contract)
		})
		other := len(taken[key.seed]) > 0 && !slices.ContainsFunc(taken[key.seed], func(h dtn.Hosted) bool {
			return h.Manifest.Contract.Same(s.Contract)
		})
		switch {
		case s.live && s.away > 0:
			s.away = 0
		case other && subs.remove(key):
		default:
			continue
		}
		changed = append(changed, key)
	}
	return changed
}

// away gives the contracts of the subscribed seeds that do not run anywhere; nil for one
// that was removed wherever it was hosted.
func (subs subscriptions) away(all []dtn.Hosted) map[seed.Name]*seed.Contract {
	runs := map[seed.Name]bool{}
	for _, h := range all {
		runs[h.Manifest.Name] = true
	}
	newest := map[seed.Name]*subscription{}
	for key, s := range subs {
		if runs[key.seed] {
			continue
		}
		if n := newest[key.seed]; n == nil || n.Removed && !s.Removed || n.Removed == s.Removed && newer(s, n) {
			newest[key.seed] = s
		}
	}
	out := map[seed.Name]*seed.Contract{}
	for name, s := range newest {
		out[name] = nil
		if !s.Removed {
			contract := s.Contract
			out[name] = &contract
		}
	}
	return out
}

// since is how long each of these seeds is away.
func (subs subscriptions) since(away map[seed.Name]bool) map[seed.Name]time.Duration {
	out := map[seed.Name]time.Duration{}
	if len(away) == 0 {
		return out
	}
	for key, s := range subs {
		if d, ok := out[key.seed]; away[key.seed] && !s.Removed && (!ok || s.away < d) {
			out[key.seed] = s.away
		}
	}
	return out
}

func newer(a, b *subscription) bool {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(b.Node, a.Node)) > 0
}

// of lists the subscriptions that are meant and go on, by seed and node.
func (subs subscriptions) of(means func(subKey) bool) (keys []subKey) {
	for key, s := range subs {
		if !s.Removed && means(key) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b subKey) int { return cmp.Or(cmp.Compare(a.seed, b.seed), cmp.Compare(a.node, b.node)) })
	return keys
}

// pass lets time go by for the seeds that are away, and removes those that were for too
// long. What was removed so long ago is forgotten. It gives the keys of what is to be
// written down.
func (subs subscriptions) pass(d, most time.Duration) (ended, changed []subKey) {
	for key, s := range subs {
		if s.live {
			continue
		}
		before := s.away
		s.away += d
		switch {
		case s.away >= most && s.Removed:
			delete(subs, key)
		case s.away >= most:
			subs.remove(key)
			ended = append(ended, key)
		case before/saveAway == s.away/saveAway:
			continue
		}
		changed = append(changed, key)
	}
	return ended, changed
}

// passing tells whether time is to pass for one of them.
func (subs subscriptions) passing() bool {
	for _, s := range subs {
		if !s.live {
			return true
		}
	}
	return false
}

// saveAway is how exactly the store knows how long a seed was away.
const saveAway = time.Minute
