package node

import (
	"maps"
	"slices"
	"sync"

	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/seed"
)

// A Behind is a seed for which more comes into a node's store than is done.
type Behind struct {
	Seed seed.Name
	predict.Behind
}

// backlogs watch the inboxes of the own store.
type backlogs struct {
	mu sync.Mutex
	of map[seed.Name]*watched
}

type watched struct {
	predict.Backlog
	behind predict.Behind
}

// behind lists the seeds that fall behind, by name.
func (b *backlogs) behind() (out []Behind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.of)) {
		if w := b.of[name]; w.behind.Is() {
			out = append(out, Behind{name, w.behind})
		}
	}
	return out
}
