package sum

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// greet is a replica of a seed with these figures.
func greet(version string, figures api.Figures) api.SeedStatus {
	return api.SeedStatus{
		Manifest: seed.Manifest{Name: "greet", Version: version, Contract: seed.Contract{In: []packet.State{"S:RAW"}, Out: []packet.State{"S:GREETING"}}},
		Figures:  figures, GaveUp: 1, InStates: map[packet.State]uint64{"S:RAW": figures.In},
	}
}

func at(node string, st api.Status) api.Member {
	st.Node = node
	return api.Member{Status: st}
}

// TestSeeds adds up the replicas of a seed.
func TestSeeds(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes []api.Member
		want  api.SeedCounters
	}{
		{"one", []api.Member{at("a", api.Status{Seeds: []api.SeedStatus{greet("1", api.Figures{In: 3, Out: 2, Failed: 1, Running: 1, Workers: 2, Cost: 4})}})},
			api.SeedCounters{In: 3, Out: 2, Failed: 1, GaveUp: 1, Running: 1, Workers: 2, Cost: 4}},
		{"two, one of which is paused and has measured nothing", []api.Member{
			at("a", api.Status{Seeds: []api.SeedStatus{greet("1", api.Figures{In: 3, Workers: 2, Cost: 4})}}),
			at("b", api.Status{Seeds: []api.SeedStatus{greet("2", api.Figures{In: 4, Workers: 1, Paused: true})}}),
		}, api.SeedCounters{In: 7, GaveUp: 2, Workers: 3, Cost: 4, Paused: 1}},
		{"two that have measured", []api.Member{
			at("a", api.Status{Seeds: []api.SeedStatus{greet("1", api.Figures{Cost: 4, Stored: 5})}}),
			at("b", api.Status{Seeds: []api.SeedStatus{greet("1", api.Figures{Cost: 8})}, Inboxes: []api.Inbox{{Seed: "greet", Packets: 2}}}),
		}, api.SeedCounters{GaveUp: 2, Cost: 6, Ahead: 7}},
	} {
		all := Of(c.nodes)
		if len(all.Seeds) != 1 {
			t.Fatalf("%s: %+v", c.name, all.Seeds)
		}
		got := all.Seeds[0]
		c.want.Name, c.want.InStates = "greet", map[packet.State]uint64{"S:RAW": c.want.In}
		got.OutStates, got.Drain, got.DrainError = nil, 0, 0 // see TestAhead
		if !reflect.DeepEqual(got.SeedCounters, c.want) {
			t.Errorf("%s: %+v; expected %+v", c.name, got.SeedCounters, c.want)
		}
		for i, m := range c.nodes {
			if r := got.Replicas[i]; r.Node != m.Node || r.Version != m.Seeds[0].Manifest.Version || r.In != m.Seeds[0].In {
				t.Errorf("%s: replica %d is %+v", c.name, i, r)
			}
		}
	}
}

// TestStates adds up what waits, and knows who gives and takes it.
func TestStates(t *testing.T) {
	all := Of([]api.Member{
		at("a", api.Status{
			Seeds:   []api.SeedStatus{greet("1", api.Figures{})},
			Waiting: []api.Waiting{{State: "S:ROW", Packets: 2, Bytes: 20, Since: noon, Why: "no seed accepts it"}, {Seed: "far", Packets: 1}},
		}),
		at("b", api.Status{Waiting: []api.Waiting{{State: "S:ROW", Packets: 1, Bytes: 5, Since: noon.Add(-time.Hour), Why: "no seed accepts it"}, {State: "Error:greet", Packets: 1}}}),
	})
	var names []packet.State
	for _, s := range all.States {
		names = append(names, s.State)
	}
	if !slices.Equal(names, []packet.State{"Error:greet", "S:GREETING", "S:RAW", "S:ROW"}) {
		t.Fatalf("the states are %q", names)
	}
	if s := all.States[3]; s.Waiting != 3 || s.Bytes != 25 || !s.Since.Equal(noon.Add(-time.Hour)) || s.Nearest != "S:RAW" || !maps.Equal(s.Nodes, map[string]int{"a": 2, "b": 1}) {
		t.Errorf("what waits: %+v", s)
	}
	if failed, raw := all.States[0], all.States[2]; !slices.Equal(failed.Producers, []seed.Name{"greet"}) || !slices.Equal(raw.Acceptors, []seed.Name{"greet"}) || len(raw.Producers) != 0 {
		t.Errorf("failed packets come of %q; raw ones of %q, for %q", failed.Producers, raw.Producers, raw.Acceptors)
	}
	if got := Waiting(all.Nodes); len(got) != 4 || got[0].Node != "a" || got[1].Place() != "inbox of far" || got[3].Place() != "Error:greet" {
		t.Errorf("what waits, node by node: %+v", got)
	}
}

func TestStored(t *testing.T) {
	got := Stored([]api.Member{
		at("a", api.Status{Seeds: []api.SeedStatus{greet("1", api.Figures{Stored: 3})}}),
		at("b", api.Status{Seeds: []api.SeedStatus{greet("1", api.Figures{Stored: 4})}, Inboxes: []api.Inbox{{Seed: "far", Packets: 1}, {Seed: "greet", Packets: 2}}}),
	})
	if want := map[seed.Name]int{"greet": 9, "far": 1}; !maps.Equal(got, want) {
		t.Errorf("stored are %v; expected %v", got, want)
	}
}

func TestAway(t *testing.T) {
	got := Away([]api.Member{
		at("a", api.Status{Away: []api.Away{{Seed: "z", For: 5, Text: "long", Packets: 1, Bytes: 10}}}),
		at("b", api.Status{Away: []api.Away{{Seed: "b"}, {Seed: "z", For: 2, Text: "short", Packets: 2, Bytes: 5}}}),
	})
	if len(got) != 2 || got[0].Seed != "b" || got[1].Packets != 3 || got[1].Bytes != 15 || got[1].For != 2 || got[1].Text != "short" {
		t.Errorf("away are %+v", got)
	}
}

// TestFindings has each kind found.
func TestFindings(t *testing.T) {
	with := func(change func(*api.SeedStatus)) []api.Member {
		s := greet("1", api.Figures{})
		s.Manifest.File = "/seeds/greet.py"
		change(&s)
		return []api.Member{at("a", api.Status{Seeds: []api.SeedStatus{s}})}
	}
	for _, c := range []struct {
		all  api.Network
		seed seed.Name
		want string
	}{
		{api.Network{Nodes: with(func(s *api.SeedStatus) { s.NotLoaded = "no module x\nTraceback" })}, "greet",
			"seed greet of a is not loaded: no module x; this is tried again, and its packets wait"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) { s.Loading = true })}, "", "node a is loading greet.py"},
		{api.Network{Nodes: []api.Member{at("a", api.Status{Away: []api.Away{{Seed: "far", Nodes: []string{"b", "c"}, Packets: 2, Text: "away for 3 min"}}})}}, "far",
			"2 copies are kept for far, away for 3 min (hosted by b, c); 'pmk forget far' ends that"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) { s.Filtered = 2 })}, "", "2 filtered by greet"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) { s.Silent = "does not answer" })}, "greet", "seed greet of a does not answer; the log says what the cause may be"},
		{api.Network{Nodes: []api.Member{at("a", api.Status{Behind: []api.Behind{{Seed: "greet", Behind: predict.Behind{Since: noon.Add(-90 * time.Second), Packets: 1, Growth: 2}}}})}}, "greet",
			"seed greet falls behind: for 1m30s its backlog in the store of a has grown, to 1 packet now and by 2 each second; add workers, or another node with the seed"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) {
			s.Errors = []api.SeedError{{Error: "no broker", Count: 2, Next: noon.Add(3 * time.Second)}, {Error: "old", Next: noon}}
		})}, "greet", "seed greet of a fails: no broker (2 runs); the last packet is tried again in 3s"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) {
			s.Injector, s.Errors = &api.InjectorStatus{State: api.InjectorFailed, Failed: 1, Next: noon.Add(time.Second)}, []api.SeedError{{Error: "no broker"}}
		})}, "greet", "injector greet of a: its last run has failed, and it is started again in 1s: no broker"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) { s.Injector = &api.InjectorStatus{State: api.InjectorRunning, Failed: 2} })}, "greet",
			"injector greet of a: its last 2 runs have failed, and it was started again"},
		{api.Network{Nodes: with(func(s *api.SeedStatus) { s.Injector = &api.InjectorStatus{State: "gave up", Failed: 2} })}, "greet",
			"injector greet of a: its last 2 runs have failed, and it is not started again: edit it, or start its node again"},
		{api.Network{Nodes: []api.Member{at("a", api.Status{Refused: []api.Refused{{Manifest: seed.Manifest{Name: "greet"}, Why: "another contract"}}})}}, "greet", "seed greet of a is refused: another contract"},
		{api.Network{Ignored: api.Ignored{Connections: 1}}, "", "ignored, because they came without the key: 1 connection, 0 beacons"},
		{api.Network{Nodes: with(func(*api.SeedStatus) {})}, "", ""},
	} {
		all := Of(c.all.Nodes)
		all.Outsiders, all.Ignored = c.all.Outsiders, c.all.Ignored
		got := Findings(&all, noon)
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0] != (Finding{c.seed, c.want}) {
			t.Errorf("found %+v; expected %q of %q", got, c.want, c.seed)
		}
	}
}
