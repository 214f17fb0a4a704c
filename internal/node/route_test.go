package node

import (
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/dtn/dtntest"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// snapshotOf is that of a node n1, with the seeds of text; those of other nodes are away.
func snapshotOf(t *testing.T, text string) *snapshot {
	t.Helper()
	all, err := dtntest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	hosts, subs := map[seed.Name]*host{}, subscriptions{}
	for _, h := range all {
		if h.Node == "n1" {
			hosts[h.Manifest.Name] = newHost(h.Manifest, runner.Traits{}, nil)
			continue
		}
		subs[subKey{h.Manifest.Name, h.Node}] = &subscription{Known: mesh.Known{Seed: h.Manifest.Name, Node: h.Node, Contract: h.Manifest.Contract}}
	}
	return newSnapshot("n1", hosts, nil, subs, false)
}

// TestDests: where a packet goes is decided by what it is and by the network alone.
func TestDests(t *testing.T) {
	const network = `
		read: -> Tweet:RAW
		english: Tweet:RAW -> Tweet:ENGLISH | Tweet:OTHER
		count: Tweet:RAW | Tweet:OTHER ->
		score: Tweet:ENGLISH -> Tweet:SCORED
		archive@lab: Tweet:SCORED ->
		mend: Error:score -> Tweet:ENGLISH
	`
	hops := func(n int) (trail *packet.Hop) {
		for i := range n {
			trail = &packet.Hop{Seed: "english", Node: "n1", Prev: trail, Depth: i + 1}
		}
		return trail
	}
	snap := snapshotOf(t, network)
	for name, c := range map[string]struct {
		p    packet.Packet
		want string // the seeds, or why it waits
	}{
		"all that accept it":       {packet.Packet{State: "Tweet:RAW"}, "count english"},
		"one":                      {packet.Packet{State: "Tweet:OTHER"}, "count"},
		"one that is away":         {packet.Packet{State: "Tweet:SCORED"}, "archive"},
		"towards a goal":           {packet.Packet{State: "Tweet:RAW", Wish: &packet.Wish{Goal: "Tweet:SCORED"}}, "english"},
		"a goal that has no way":   {packet.Packet{State: "Tweet:OTHER", Wish: &packet.Wish{Goal: "Tweet:SCORED"}}, "no seed that accepts it leads to Tweet:SCORED"},
		"a fault, whatever goal":   {packet.Packet{State: "Error:score", Wish: &packet.Wish{Goal: "A:B"}, Fault: &packet.Fault{}, DeadLetters: 1}, "mend"},
		"the last Error: state":    {packet.Packet{State: "Error:score", Fault: &packet.Fault{}, DeadLetters: maxRounds}, "mend"},
		"too many Error: states":   {packet.Packet{State: "Error:score", Fault: &packet.Fault{}, DeadLetters: maxRounds + 1}, "came through 3 Error: states"},
		"just not in a loop":       {packet.Packet{State: "Tweet:OTHER", Trail: hops(maxHops - 1)}, "count"},
		"in a loop":                {packet.Packet{State: "Tweet:OTHER", Trail: hops(maxHops)}, "came through 1000 seeds"},
		"nobody, but one is near":  {packet.Packet{State: "Tweet:OTER"}, "no seed accepts it; nearest accepted: Tweet:OTHER"},
		"nobody, and none is near": {packet.Packet{State: "Galaxy:SPIRAL"}, "no seed accepts it"},
	} {
		t.Run(name, func(t *testing.T) {
			to := snap.dests(&c.p)
			var names []string
			for _, d := range to {
				names = append(names, string(d.name))
				if d.sole != (len(to) == 1 && len(snap.accept[c.p.State]) == 1) {
					t.Errorf("that %s alone takes it: %v", d.name, d.sole)
				}
				if (d.host != nil) != (d.name != "archive") {
					t.Errorf("that %s is here: %v", d.name, d.host != nil)
				}
			}
			got := strings.Join(names, " ")
			if len(to) == 0 {
				got = snap.whyWaits(&c.p)
			}
			if got != c.want {
				t.Errorf("%q; expected %q", got, c.want)
			}
		})
	}
}

// TestASendWithinACycle never blocks: it could wait for itself.
func TestASendWithinACycle(t *testing.T) {
	snap := snapshotOf(t, `
		halve: Number:BIG -> Number:BIG | Number:SMALL
		print: Number:SMALL ->
	`)
	h := snap.hosts["halve"]
	snap.connect(h)
	for _, p := range *h.ports.Load() {
		for _, d := range p.to {
			if d.forced != (p.state == "Number:BIG") {
				t.Errorf("what halve gives in %s is forced upon %s: %v", p.state, d.name, d.forced)
			}
		}
	}
}
