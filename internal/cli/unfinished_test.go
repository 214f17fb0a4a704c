package cli

import (
	"testing"

	"github.com/recap/pumpkin/internal/node"
)

// TestUnfinished: a line names what a node waits for, of many seeds the first.
func TestUnfinished(t *testing.T) {
	many := []node.Unfinished{{Seed: "a", Running: 2}, {Seed: "b", Running: 1, Queued: 1}, {Seed: "c", Queued: 3}, {Seed: "d", Queued: 2}, {Seed: "e", Queued: 1}, {Seed: "f", Queued: 1}}
	for _, c := range []struct {
		list []node.Unfinished
		want string
	}{
		{nil, "the store"},
		{many[:3], "2 running workers of a, 1 running worker and 1 queued packet of b, 3 queued packets of c"},
		{many, "2 running workers of a, 1 running worker and 1 queued packet of b, 3 queued packets of c, 2 queued packets of d, 1 queued packet of e, 1 other seed"},
	} {
		if got := unfinishedText(c.list); got != c.want {
			t.Errorf("%v: %q, want %q", c.list, got, c.want)
		}
	}
}
