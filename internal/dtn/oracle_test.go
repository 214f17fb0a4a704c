package dtn_test

import (
	"cmp"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// An oracle answers the questions of a network slowly and plainly: from the
// list of seeds, by trying everything.
type oracle []seed.Manifest

// randomSeeds draws a small network, one node, no name twice: dense enough for
// cycles, with joins, injectors, extractors, repairs and Error: states of
// seeds that there are not.
func randomSeeds(t *rapid.T) oracle {
	count := rapid.IntRange(1, 7).Draw(t, "seeds")
	var states []packet.State
	for i := range rapid.IntRange(1, 6).Draw(t, "states") {
		states = append(states, packet.State(fmt.Sprintf("T:%c", 'A'+i)))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "errors") {
		states = append(states, packet.ErrorState(fmt.Sprintf("s%d", i*4)))
	}
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(states), 0, min(3, len(states)), rapid.ID)
	var o oracle
	for i := range count {
		c := seed.Contract{In: some.Draw(t, "in"), Out: some.Draw(t, "out")}
		c.Join = len(c.In) > 1 && rapid.IntRange(0, 3).Draw(t, "join") == 0
		o = append(o, seed.Manifest{Name: seed.Name(fmt.Sprintf("s%d", i)), Contract: c})
	}
	return o
}

func (o oracle) hosted() []dtn.Hosted {
	var hosted []dtn.Hosted
	for _, m := range o {
		hosted = append(hosted, dtn.Hosted{Node: "n", Manifest: m})
	}
	return hosted
}

func (o oracle) states() []packet.State {
	var all []packet.State
	for _, m := range o {
		all = append(append(all, m.Contract.In...), m.Contract.Out...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// gives is what m gives, and if failures, where what it fails on goes.
func gives(m seed.Manifest, failures bool) []packet.State {
	out := slices.Clone(m.Contract.Out)
	if failures {
		out = append(out, packet.ErrorState(string(m.Name)))
	}
	return out
}

func (o oracle) routes(s packet.State) []seed.Name {
	var names []seed.Name
	for _, m := range o {
		if !m.Contract.Join && m.Contract.Takes(s) {
			names = append(names, m.Name)
		}
	}
	return names
}

// flows tells whether something that a gives can come to b, by walking.
func (o oracle) flows(a, b seed.Manifest, failures bool) bool {
	seen := map[seed.Name]bool{}
	var walk func(m seed.Manifest) bool
	walk = func(m seed.Manifest) bool {
		for _, s := range gives(m, failures) {
			for _, next := range o {
				if next.Contract.Join || !next.Contract.Takes(s) {
					continue
				}
				if next.Name == b.Name {
					return true
				}
				if !seen[next.Name] {
					seen[next.Name] = true
					if walk(next) {
						return true
					}
				}
			}
		}
		return false
	}
	return walk(a)
}

func (o oracle) toward(goal, s packet.State) []seed.Name {
	var names []seed.Name
	for _, m := range o {
		if m.Contract.Join || !m.Contract.Takes(s) {
			continue
		}
		leads := m.Contract.Gives(goal)
		for _, last := range o {
			leads = leads || last.Contract.Gives(goal) && o.flows(m, last, false)
		}
		if leads {
			names = append(names, m.Name)
		}
	}
	return names
}

// ways are all simple ways, by trying.
func (o oracle) ways(from, to packet.State) []dtn.Way {
	var found []dtn.Way
	var walk func(at packet.State, way dtn.Way, seen []packet.State)
	walk = func(at packet.State, way dtn.Way, seen []packet.State) {
		if at == to {
			found = append(found, slices.Clone(way))
			return
		}
		for _, m := range o {
			if m.Contract.Join || !m.Contract.Takes(at) {
				continue
			}
			for _, s := range m.Contract.Out {
				if !slices.Contains(seen, s) {
					walk(s, append(way, dtn.Step{Seed: m.Name, State: s}), append(seen, s))
				}
			}
		}
	}
	if slices.Contains(o.states(), from) {
		walk(from, nil, []packet.State{from})
	}
	slices.SortFunc(found, func(a, b dtn.Way) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	return found
}

// ship is everything that can descend from one packet of state root: states
// and seeds, by going round until nothing new comes.
func (o oracle) ship(root packet.State) (states map[packet.State]bool, seeds map[seed.Name]bool) {
	states, seeds = map[packet.State]bool{root: true}, map[seed.Name]bool{}
	for changed := true; changed; {
		changed = false
		for _, m := range o {
			if seeds[m.Name] || len(m.Contract.In) == 0 {
				continue
			}
			here := 0
			for _, s := range m.Contract.In {
				if states[s] {
					here++
				}
			}
			if here == 0 || m.Contract.Join && here < len(m.Contract.In) {
				continue
			}
			seeds[m.Name], changed = true, true
			for _, s := range gives(m, true) {
				states[s] = true
			}
		}
	}
	return states, seeds
}

// lost are the seeds that no injection comes to; nil without injectors.
func (o oracle) lost() []seed.Name {
	reached := map[seed.Name]bool{}
	injectors := 0
	for _, m := range o {
		if len(m.Contract.In) > 0 {
			continue
		}
		injectors++
		reached[m.Name] = true
		for _, s := range gives(m, true) {
			_, seeds := o.ship(s)
			for name := range seeds {
				reached[name] = true
			}
		}
	}
	var names []seed.Name
	for _, m := range o {
		if injectors > 0 && !reached[m.Name] {
			names = append(names, m.Name)
		}
	}
	return names
}

// endless are the groups of seeds that feed each other, joins included, and
// nothing else.
func (o oracle) endless() [][]seed.Name {
	var all oracle // the same without joins being left out
	for _, m := range o {
		m.Contract.Join = false
		all = append(all, m)
	}
	done := map[seed.Name]bool{}
	var found [][]seed.Name
	for _, m := range all {
		if done[m.Name] || !all.flows(m, m, false) {
			continue
		}
		var cycle oracle
		var names []seed.Name
		for _, other := range all {
			if all.flows(m, other, false) && all.flows(other, m, false) {
				done[other.Name] = true
				cycle = append(cycle, other)
				names = append(names, other.Name)
			}
		}
		out := false
		for _, c := range cycle {
			for _, s := range c.Contract.Out {
				inside := slices.ContainsFunc(cycle, func(m seed.Manifest) bool { return m.Contract.Takes(s) })
				outside := slices.ContainsFunc(all, func(m seed.Manifest) bool {
					return m.Contract.Takes(s) && !slices.Contains(names, m.Name)
				})
				out = out || !inside || outside
			}
		}
		if !out {
			found = append(found, names)
		}
	}
	return found
}
