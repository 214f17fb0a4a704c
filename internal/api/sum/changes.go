package sum

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Counters are those that are not as they were before.
func Counters(before, now *api.Network) api.Counters {
	c := api.Counters{Seeds: []api.SeedCounters{}, States: []api.StateCounters{}}
	seeds := map[seed.Name]api.SeedCounters{}
	for i := range before.Seeds {
		seeds[before.Seeds[i].Name] = before.Seeds[i].SeedCounters
	}
	for i := range now.Seeds {
		s := now.Seeds[i].SeedCounters
		if old, ok := seeds[s.Name]; !ok || !reflect.DeepEqual(s, old) {
			c.Seeds = append(c.Seeds, s)
		}
	}
	states := map[packet.State]api.StateCounters{}
	for i := range before.States {
		states[before.States[i].State] = before.States[i].StateCounters
	}
	for i := range now.States {
		s := now.States[i].StateCounters
		if old, ok := states[s.State]; !ok || s.Waiting != old.Waiting || s.Bytes != old.Bytes || !s.Since.Equal(old.Since) {
			c.States = append(c.States, s)
		}
	}
	return c
}

// Loads are how all nodes do.
func Loads(now *api.Network) (all []api.NodeCounters) {
	for _, m := range now.Nodes {
		all = append(all, api.NodeCounters{Node: m.Node, Load: m.Load, Used: m.Store.Used})
	}
	return all
}

// Shape is all of the network that does not change while packets move: between two of the same
// shape, [Counters] say what is new.
func Shape(all *api.Network) string {
	var b strings.Builder
	for _, m := range all.Nodes {
		fmt.Fprintf(&b, "%q %q %q %t %q %q %q %d\n", m.Node, m.Version, m.At, m.Leaving, m.Trouble, m.Run, m.Store.Error, len(m.Store.Damage))
		for _, r := range m.Refused {
			fmt.Fprintf(&b, "refused %q %q\n", r.Manifest.Name, r.Why)
		}
	}
	for i := range all.Seeds {
		s := &all.Seeds[i]
		fmt.Fprintf(&b, "%q %q %q %q\n", s.Name, s.Kind, s.Contract, s.About)
		for _, r := range s.Replicas {
			fmt.Fprintf(&b, "at %q %q %d %t %t %q\n", r.Node, r.Version, r.Since.UnixNano(), r.Paused, r.Loading, r.NotLoaded)
		}
	}
	for i := range all.States {
		s := &all.States[i]
		fmt.Fprintf(&b, "%q %q %q %q\n", s.State, s.Producers, s.Acceptors, s.Nearest)
	}
	fmt.Fprintf(&b, "copied %q\n", all.Copied)
	for _, o := range all.Outsiders {
		fmt.Fprintf(&b, "out %q %q %q\n", o.Node, o.At, o.Reason)
	}
	return b.String()
}

// Changes are what has happened between two looks, as people would say it.
func Changes(before, now *api.Network) []api.Change {
	return slices.Concat(nodeChanges(before, now), seedChanges(before, now), stateChanges(before, now))
}

func nodeChanges(before, now *api.Network) (out []api.Change) {
	known := map[string]*api.Member{}
	for i := range before.Nodes {
		known[before.Nodes[i].Node] = &before.Nodes[i]
	}
	add := func(change, name, text string) {
		out = append(out, api.Change{Kind: "node", Change: change, Node: name, Text: text})
	}
	for i := range now.Nodes {
		m := &now.Nodes[i]
		old := known[m.Node]
		delete(known, m.Node)
		if old == nil {
			add("came", m.Node, m.Version)
			old = &api.Member{}
		}
		if m.Leaving && !old.Leaving {
			add("leaving", m.Node, "")
		}
		switch {
		case m.Trouble != "" && old.Trouble == "":
			add("silent", m.Node, m.Trouble)
		case m.Trouble == "" && old.Trouble != "":
			add("answers", m.Node, "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		add("gone", name, "")
	}
	return out
}

func seedChanges(before, now *api.Network) (out []api.Change) {
	type at struct {
		seed seed.Name
		node string
	}
	known := map[at]*api.Replica{}
	for i := range before.Seeds {
		s := &before.Seeds[i]
		for k := range s.Replicas {
			known[at{s.Name, s.Replicas[k].Node}] = &s.Replicas[k]
		}
	}
	for i := range now.Seeds {
		s := &now.Seeds[i]
		for k := range s.Replicas {
			r := &s.Replicas[k]
			add := func(change, text string) {
				out = append(out, api.Change{Kind: "seed", Change: change, Node: r.Node, Seed: s.Name, Text: text})
			}
			old := known[at{s.Name, r.Node}]
			delete(known, at{s.Name, r.Node})
			switch {
			case old == nil:
				add("came", s.Contract.String())
				old = &api.Replica{Figures: api.Figures{Failed: r.Failed}}
			case old.Version != r.Version && !old.Loading && old.NotLoaded == "": // else what it imports is known now
				add("changed", s.Contract.String())
			}
			if r.Paused && !old.Paused {
				add("paused", "")
			} else if old.Paused && !r.Paused {
				add("resumed", "")
			}
			if r.Failed > old.Failed && len(r.Errors) > 0 {
				add("failed", r.Errors[0].Error)
			}
		}
	}
	for i := range before.Seeds {
		s := &before.Seeds[i]
		for _, r := range s.Replicas {
			if known[at{s.Name, r.Node}] != nil {
				out = append(out, api.Change{Kind: "seed", Change: "gone", Node: r.Node, Seed: s.Name})
			}
		}
	}
	return out
}

func stateChanges(before, now *api.Network) (out []api.Change) {
	known := map[packet.State]int{}
	for i := range before.States {
		known[before.States[i].State] = before.States[i].Waiting
	}
	for i := range now.States {
		s := &now.States[i]
		old := known[s.State]
		delete(known, s.State)
		switch {
		case s.Waiting > 0 && old == 0:
			out = append(out, api.Change{Kind: "state", Change: "waits", State: s.State, Text: s.Why})
		case s.Waiting == 0 && old > 0:
			out = append(out, api.Change{Kind: "state", Change: "cleared", State: s.State})
		}
	}
	for _, state := range slices.Sorted(maps.Keys(known)) {
		if known[state] > 0 {
			out = append(out, api.Change{Kind: "state", Change: "cleared", State: state})
		}
	}
	return out
}
