package node

import (
	"context"
	"sync"
)

// A gate keeps the frames of a seed's inbox from other nodes while the seed's own
// workers wait for one: near comes first, and others help when the near ones are
// busy. Its zero value is open.
type gate struct {
	mu     sync.Mutex
	closed bool
	opened chan struct{} // closed when the gate opens; nil while nobody waits
	guests map[*guestPull]bool
}

// A guestPull is one that has passed the gate.
type guestPull struct{ stop context.CancelFunc }

// shut closes the gate, and calls back who has passed it and has nothing yet.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for p := range g.guests {
		p.stop()
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

// pass waits until the gate is open and returns a context that ends when it is
// shut. leave has to be called in the end. The error is ctx's.
func (g *gate) pass(ctx context.Context) (within context.Context, leave func(), err error) {
	for {
		g.mu.Lock()
		if !g.closed {
			break
		}
		if g.opened == nil {
			g.opened = make(chan struct{})
		}
		opened := g.opened
		g.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	defer g.mu.Unlock()
	within, stop := context.WithCancel(ctx)
	p := &guestPull{stop}
	if g.guests == nil {
		g.guests = map[*guestPull]bool{}
	}
	g.guests[p] = true
	return within, func() {
		stop()
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.guests, p)
	}, nil
}
