package node

import (
	"context"
	"sync"

	"github.com/recap/pumpkin/internal/store"
)

// A gate keeps the frames of a seed's inbox from other nodes while the seed's own
// workers wait for one: near comes first, and others help when the near ones are
// busy, or have failed. Its zero value is open.
type gate struct {
	mu     sync.Mutex
	closed bool
	opened chan struct{} // closed when the gate opens; nil while nobody waits
	guests map[*guestPull]bool
}

// A guestPull is one of another node that has nothing yet.
type guestPull struct {
	stop    context.CancelFunc
	free    bool // the gate is no hindrance
	offered store.Lease
}

// shut closes the gate, and calls back who has passed it and has nothing yet.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for p := range g.guests {
		if !p.free {
			p.stop()
		}
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// visited tells whether another node waits for a frame.
func (g *gate) visited() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.guests) > 0
}

// offer gives a frame to another node that waits for one, if there is any.
func (g *gate) offer(lease store.Lease) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.guests {
		if p.offered == nil {
			p.offered = lease
			p.stop()
			return true
		}
	}
	return false
}

// pull calls pull for another node while the gate is open; if the pull is free, at any
// time. It returns what that leased, and what was offered meanwhile.
func (g *gate) pull(ctx context.Context, free bool, pull func(context.Context) ([]store.Lease, error)) ([]store.Lease, error) {
	for {
		within, stop := context.WithCancel(ctx)
		p := &guestPull{stop: stop, free: free}
		var leases []store.Lease
		var err error
		if opened := g.enter(p); opened == nil {
			leases, err = pull(within)
		} else {
			select {
			case <-opened:
			case <-within.Done():
			}
		}
		stopped := within.Err() != nil
		stop()
		if lease := g.leave(p); lease != nil {
			leases = append(leases, lease)
		}
		switch {
		case len(leases) > 0:
			return leases, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && !stopped:
			return nil, err
		}
	}
}

// enter has p wait for a frame. It returns what is closed when the gate opens; nil if p
// need not wait for that.
func (g *gate) enter(p *guestPull) (opened <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.guests == nil {
		g.guests = map[*guestPull]bool{}
	}
	g.guests[p] = true
	if !g.closed || p.free {
		return nil
	}
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
	return g.opened
}

// leave ends that, and gives what was offered to p.
func (g *gate) leave(p *guestPull) store.Lease {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.guests, p)
	return p.offered
}
