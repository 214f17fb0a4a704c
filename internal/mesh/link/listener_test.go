package link

import (
	"slices"
	"testing"
)

// numbered is gossip of so many nodes, the i-th of which came with number i.
type numbered int

func (n numbered) Since(mark uint64) (found []Sighting, next uint64, more <-chan struct{}) {
	for i := int(mark); i < int(n); i++ {
		found = append(found, Sighting{Advertise: []string{string(rune('a'+i)) + ":1"}})
	}
	return found, uint64(n), nil
}

// TestListener is told each node once, but all of them again when that is due, and after that
// only what is new.
func TestListener(t *testing.T) {
	l := listener{gossip: numbered(3)}
	told := func(found []Sighting) (count int) { return len(slices.Clone(found)) }
	for i, c := range []struct {
		known  int
		ask    func() []Sighting
		expect int
	}{
		{3, l.news, 3}, {3, l.news, 0}, {4, l.news, 1}, {4, l.all, 4}, {4, l.news, 0}, {5, l.news, 1}, {5, l.all, 5},
	} {
		l.gossip = numbered(c.known)
		if got := told(c.ask()); got != c.expect {
			t.Errorf("at %d it is told of %d nodes; expected %d", i, got, c.expect)
		}
	}
	if found := (&listener{}).all(); found != nil {
		t.Errorf("without gossip it is told of %v", found)
	}
}
