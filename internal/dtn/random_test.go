package dtn_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestRandomNetworks compares everything that a network answers with the
// oracle.
func TestRandomNetworks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := randomSeeds(t)
		n := dtn.New(rapid.Permutation(o.hosted()).Draw(t, "order"))
		states := append(o.states(), "T:NOWHERE")
		for _, s := range states {
			if got, want := n.Routes(s), o.routes(s); !slices.Equal(got, want) {
				t.Fatalf("Routes(%s) = %v, want %v", s, got, want)
			}
			for _, goal := range states {
				if got, want := n.Toward(goal, s), o.toward(goal, s); !slices.Equal(got, want) {
					t.Fatalf("Toward(%s, %s) = %v, want %v", goal, s, got, want)
				}
				checkWays(t, o, n, s, goal)
			}
		}
		for _, a := range o {
			for _, b := range o {
				want := !a.Contract.Join && !b.Contract.Join && o.flows(a, b, true) && o.flows(b, a, true)
				if got := n.SameCycle(a.Name, b.Name); got != want {
					t.Fatalf("SameCycle(%s, %s) = %t, want %t", a.Name, b.Name, got, want)
				}
			}
		}
		checkFindings(t, o, n.Findings())
	})
}

func checkWays(t *rapid.T, o oracle, n *dtn.Network, from, to packet.State) {
	want := o.ways(from, to)
	got := n.Ways(from, to, 1<<20)
	if !slices.EqualFunc(got, want, slices.Equal[dtn.Way]) {
		t.Fatalf("Ways(%s, %s) = %v, want %v", from, to, got, want)
	}
	for i, way := range n.Ways(from, to, 2) {
		if i > 1 || len(way) != len(want[i]) {
			t.Fatalf("Ways(%s, %s, 2) has %v as its way %d, want one as long as %v", from, to, way, i, want[i])
		}
	}
	gap := n.WhyNot(from, to)
	if (gap == nil) != (len(want) > 0) {
		t.Fatalf("WhyNot(%s, %s) = %v, with the ways %v", from, to, gap, want)
	}
	if gap == nil {
		return
	}
	for _, s := range o.states() {
		if s != from && slices.Contains(gap.Reached, s) != (len(o.ways(from, s)) > 0) {
			t.Fatalf("WhyNot(%s, %s): wrong about %s being reached: %v", from, to, s, gap.Reached)
		}
		if s != to && slices.Contains(gap.Leading, s) != (len(o.ways(s, to)) > 0) {
			t.Fatalf("WhyNot(%s, %s): wrong about %s leading on: %v", from, to, s, gap.Leading)
		}
	}
}

func checkFindings(t *rapid.T, o oracle, findings []dtn.Finding) {
	var unaccepted, unknown []packet.State
	var lost []seed.Name
	var endless [][]seed.Name
	for _, f := range findings {
		switch f.Kind {
		case dtn.Unaccepted:
			unaccepted = append(unaccepted, f.State)
		case dtn.UnknownSeed:
			unknown = append(unknown, f.State)
		case dtn.Unreachable, dtn.Incomplete:
			lost = append(lost, f.Seed)
		case dtn.Endless:
			endless = append(endless, f.Seeds)
		}
	}
	named := func(s packet.State) bool {
		return slices.ContainsFunc(o, func(m seed.Manifest) bool { return packet.ErrorState(string(m.Name)) == s })
	}
	var wantUnaccepted, wantUnknown []packet.State
	for _, s := range o.states() {
		taken := slices.ContainsFunc(o, func(m seed.Manifest) bool { return m.Contract.Takes(s) })
		if !taken && s.Type() != packet.ErrorType {
			wantUnaccepted = append(wantUnaccepted, s)
		}
		if s.Type() == packet.ErrorType && !named(s) {
			wantUnknown = append(wantUnknown, s)
		}
	}
	// A seed that waits for the failures of no seed is found by its state.
	var wantLost []seed.Name
	for _, name := range o.lost() {
		m := o[slices.IndexFunc(o, func(m seed.Manifest) bool { return m.Name == name })]
		if !slices.ContainsFunc(m.Contract.In, func(s packet.State) bool { return slices.Contains(wantUnknown, s) }) {
			wantLost = append(wantLost, name)
		}
	}
	same(t, "unaccepted", unaccepted, wantUnaccepted)
	same(t, "unknown", unknown, wantUnknown)
	same(t, "lost", lost, wantLost)
	wantEndless := o.endless()
	for _, cycles := range [][][]seed.Name{endless, wantEndless} {
		slices.SortFunc(cycles, slices.Compare[[]seed.Name])
	}
	if !slices.EqualFunc(endless, wantEndless, slices.Equal[[]seed.Name]) {
		t.Fatalf("endless: %v, want %v", endless, wantEndless)
	}
}

func same[T ~string](t *rapid.T, what string, got, want []T) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}
