package sum

import (
	"testing"

	"github.com/recap/pumpkin/internal/api"
)

// TestASeedThatIsLoadedHasNotChanged: with what it imports its version is another, which is no
// event; that of an edit is.
func TestASeedThatIsLoadedHasNotChanged(t *testing.T) {
	network := func(r api.Replica) *api.Network {
		r.Node = "lab"
		s := api.Seed{Replicas: []api.Replica{r}}
		s.Name = "greet"
		return &api.Network{Seeds: []api.Seed{s}}
	}
	for _, c := range []struct {
		what        string
		before, now api.Replica
		want        int
	}{
		{"loaded", api.Replica{Version: "1", Figures: api.Figures{Loading: true}}, api.Replica{Version: "1.2"}, 0},
		{"loaded at last", api.Replica{Version: "1", Figures: api.Figures{NotLoaded: "the disk is away"}}, api.Replica{Version: "1.2"}, 0},
		{"edited", api.Replica{Version: "1.2"}, api.Replica{Version: "1.3"}, 1},
	} {
		got := Changes(network(c.before), network(c.now))
		if len(got) != c.want {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}
