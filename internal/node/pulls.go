package node

import (
	"context"
	"slices"
	"sync"
)

// pulledTime is how much work is pulled ahead for each worker.
const pulledTime = 2 * batchTime

// pulls are those of one seed, from the node's own store (nil) and those of its
// peers. It is guarded by the node's change lock, but for end.
type pulls struct {
	mu    sync.Mutex
	over  bool
	stops map[*peer]context.CancelFunc
}

// begin has run pull until ctx ends, unless it does already.
func (p *pulls) begin(ctx context.Context, from *peer, run func(context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.stops[from] != nil {
		return
	}
	if p.stops == nil {
		p.stops = map[*peer]context.CancelFunc{}
	}
	ctx, stop := context.WithCancel(ctx)
	p.stops[from] = stop
	run(ctx)
}

// without ends those from other peers than these.
func (p *pulls) without(peers []*peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for from, stop := range p.stops {
		if from != nil && !slices.Contains(peers, from) {
			stop()
			delete(p.stops, from)
		}
	}
}

// rest ends all of them, until they begin anew.
func (p *pulls) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, stop := range p.stops {
		stop()
	}
	clear(p.stops)
}

// end ends all of them for good.
func (p *pulls) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, stop := range p.stops {
		stop()
	}
	p.stops = nil
}
