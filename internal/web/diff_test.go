package web

import "testing"

// TestASeedThatIsLoadedHasNotChanged: with what it imports its version is another, which is no event; that
// of an edit is.
func TestASeedThatIsLoadedHasNotChanged(t *testing.T) {
	network := func(r Replica) *Network {
		r.Node = "lab"
		s := Seed{Replicas: []Replica{r}}
		s.Name = "greet"
		return &Network{Seeds: []Seed{s}}
	}
	for _, c := range []struct {
		what        string
		before, now Replica
		want        int
	}{
		{"loaded", Replica{Version: "1", Loading: true}, Replica{Version: "1.2"}, 0},
		{"loaded at last", Replica{Version: "1", NotLoaded: "the disk is away"}, Replica{Version: "1.2"}, 0},
		{"edited", Replica{Version: "1.2"}, Replica{Version: "1.3"}, 1},
	} {
		got := changes(network(c.before), network(c.now))
		if len(got) != c.want {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}
