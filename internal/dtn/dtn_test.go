package dtn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/dtn/dtntest"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

func network(t testing.TB, text string) *dtn.Network {
	t.Helper()
	hosted, err := dtntest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return dtn.New(hosted)
}

// TestLookUpsAllocateNothing covers each way that a look-up can go: all
// routes, none, some, and names that the network does not know.
func TestLookUpsAllocateNothing(t *testing.T) {
	n := network(t, `
		a: T:IN -> T:LEFT
		b: T:IN -> T:RIGHT
		c: T:LEFT | T:RIGHT -> T:END
	`)
	tests := []struct{ goal, at packet.State }{
		{"T:END", "T:IN"}, {"T:LEFT", "T:IN"}, {"T:IN", "T:LEFT"}, {"T:END", "T:NO"}, {"T:NO", "T:IN"},
	}
	for _, tt := range tests {
		var routes, toward []seed.Name
		allocs := testing.AllocsPerRun(100, func() {
			routes = n.Routes(tt.at)
			toward = n.Toward(tt.goal, tt.at)
		})
		if allocs != 0 {
			t.Errorf("Routes(%s) = %v and Toward(%s, %s) = %v allocate %v times", tt.at, routes, tt.goal, tt.at, toward, allocs)
		}
	}
	if got := n.Toward("T:LEFT", "T:IN"); !slices.Equal(got, []seed.Name{"a"}) {
		t.Errorf("Toward(T:LEFT, T:IN) = %v, want [a]", got)
	}
}

// TestReplicas: one for each node, those with the contract that counts.
func TestReplicas(t *testing.T) {
	n := network(t, `
		greet@n3: T:B | T:A -> T:C
		greet@n2: T:A -> T:D
		greet@n1,other.py:9: T:A | T:B -> T:D
		greet@n1,greet.py:2: T:A | T:B -> T:C
		greet@n4: T:A | T:B -> T:C
	`)
	var nodes []string
	for _, h := range n.Replicas("greet") {
		nodes = append(nodes, fmt.Sprintf("%s %s:%d", h.Node, h.Manifest.File, h.Manifest.Line))
	}
	want := []string{"n1 greet.py:2", "n3 greet.py:1", "n4 greet.py:1"}
	if !slices.Equal(nodes, want) {
		t.Errorf("Replicas(greet) = %v, want %v", nodes, want)
	}
	if c, ok := n.Contract("greet"); !ok || c.String() != "T:A | T:B -> T:C" {
		t.Errorf("Contract(greet) = %q, %t", c, ok)
	}
	if got := n.Replicas("gret"); got != nil {
		t.Errorf("Replicas(gret) = %v, want nil", got)
	}
	var kinds []dtn.Kind
	for _, f := range n.Findings() {
		if f.Kind != dtn.Unaccepted {
			kinds = append(kinds, f.Kind)
		}
	}
	if want := []dtn.Kind{dtn.Conflict, dtn.Duplicate}; !slices.Equal(kinds, want) {
		t.Errorf("findings %v, want %v", kinds, want)
	}
}

// TestInputStays: what New was given is as it was.
func TestInputStays(t *testing.T) {
	in := []packet.State{"T:B", "T:A", "T:B"}
	hosted := []dtn.Hosted{
		{Node: "n", Manifest: seed.Manifest{Name: "z", Contract: seed.Contract{In: in}}},
		{Node: "n", Manifest: seed.Manifest{Name: "a"}},
	}
	n := dtn.New(hosted)
	if hosted[0].Manifest.Name != "z" || !slices.Equal(in, []packet.State{"T:B", "T:A", "T:B"}) {
		t.Errorf("New changed what it was given: %v", hosted)
	}
	if got := n.Routes("T:B"); !slices.Equal(got, []seed.Name{"z"}) {
		t.Errorf("Routes(T:B) = %v, want [z]", got)
	}
}

// TestWaysAreBounded: a ladder of 40 rungs has 2^40 ways.
func TestWaysAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "a%d: T:%d -> T:%d\nb%d: T:%d -> T:%d\n", i, i, i+1, i, i, i+1)
	}
	n := network(t, text.String())
	ways := n.Ways("T:0", "T:40", 5)
	if len(ways) != 5 {
		t.Fatalf("got %d ways, want 5", len(ways))
	}
	for _, way := range ways {
		if len(way) != 40 {
			t.Errorf("a way of %d steps, want 40", len(way))
		}
	}
	if got := len(n.Ways("T:0", "T:40", 1<<30)); got < 1000 {
		t.Errorf("got %d ways within the bound on work, want a thousand or more", got)
	}
}

// TestWhyNot: what it says for the gaps that people have.
func TestWhyNot(t *testing.T) {
	n := network(t, `
		greet: String:UNGREETED -> String:GREETNG
		shout: String:GREETING -> String:SHOUT
		both: String:GREETNG & String:SHOUT -> String:PAIR
	`)
	tests := []struct{ from, to, want string }{
		{"String:UNGREETED", "String:SHOUT", `
no path from String:UNGREETED to String:SHOUT
String:UNGREETED can reach: String:GREETNG
states that lead to String:SHOUT: String:GREETING
missing: a seed String:GREETNG -> String:GREETING`},
		{"String:UNGRETED", "String:SHOUTS", `
no path from String:UNGRETED to String:SHOUTS
String:UNGRETED reaches nothing; nearest accepted: String:UNGREETED
nothing leads to String:SHOUTS; nearest produced: String:SHOUT
missing: a seed String:UNGRETED -> String:SHOUTS`},
		{"String:UNGREETED", "String:PAIR", `
no path from String:UNGREETED to String:PAIR
String:UNGREETED can reach: String:GREETNG
nothing leads to String:PAIR
both would lead on, but joins are not run yet
missing: a seed String:UNGREETED -> String:PAIR`},
	}
	for _, tt := range tests {
		gap := n.WhyNot(packet.State(tt.from), packet.State(tt.to))
		if gap == nil {
			t.Errorf("WhyNot(%s, %s) is nil", tt.from, tt.to)
			continue
		}
		if got := "\n" + gap.String(); got != tt.want {
			t.Errorf("WhyNot(%s, %s) says%s\nwant%s", tt.from, tt.to, got, tt.want)
		}
	}
	if gap := n.WhyNot("String:GREETING", "String:SHOUT"); gap != nil {
		t.Errorf("there is a way, and WhyNot says %s", gap)
	}
}

// TestASeedThatIsAway accepts, and is no replica.
func TestASeedThatIsAway(t *testing.T) {
	net := dtn.New([]dtn.Hosted{
		{Manifest: seed.Manifest{Name: "archive", Contract: seed.Contract{In: []packet.State{"T:A"}}}, Away: true},
		{Node: "a", Manifest: seed.Manifest{Name: "near", Contract: seed.Contract{In: []packet.State{"T:A"}}}},
	})
	if routes := net.Routes("T:A"); !slices.Equal(routes, []seed.Name{"archive", "near"}) {
		t.Errorf("T:A is accepted by %v", routes)
	}
	if n := len(net.Replicas("archive")); n > 0 {
		t.Errorf("it has %d replicas", n)
	}
	if found := net.Findings(); len(found) > 0 {
		t.Errorf("it is found fault with: %v", found)
	}
}
