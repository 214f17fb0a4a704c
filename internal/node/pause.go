package node

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/recap/pumpkin/seed"
)

// ErrNotHosted is a seed that this node does not host.
var ErrNotHosted = errors.New("the node does not host the seed")

// Pause has a seed of this node take no more packets until [Node.Resume] or the
// end of the node; a newer version of it is paused as well. What runs is finished.
// What is queued goes into the seed's inbox in the store, as does what comes; other
// nodes that host the seed take it from there. An injector is held in its next
// emit. It is no error if the seed is paused already.
func (n *Node) Pause(ctx context.Context, name seed.Name) error {
	n.entering.Add(1)
	defer n.entering.Add(-1)
	h, left, err := n.pause(name)
	if err != nil || h == nil {
		return err
	}
	n.log.Info(fmt.Sprintf("seed %s is paused: 'pmk resume %s' lets it run again", name, name))
	return n.putBack(ctx, h, left)
}

// pause closes the way to the seed, and gives what was queued for it. The host is
// nil where nothing is to be done.
func (n *Node) pause(name seed.Name) (h *host, left withdrawn, err error) {
	n.change.Lock()
	defer n.change.Unlock()
	hosts := n.snap.Load().hosts
	h = hosts[name]
	switch {
	case n.closed || n.injecting.Err() != nil:
		return nil, withdrawn{}, ErrDraining
	case h == nil:
		return nil, withdrawn{}, fmt.Errorf("pause %s: %w", name, ErrNotHosted)
	case h.paused():
		return nil, withdrawn{}, nil
	}
	n.halted[name] = make(chan struct{})
	n.swap(maps.Clone(hosts), nil)
	return h, h.withdraw(), nil
}

// Resume has a paused seed take packets again. It is no error if it does already.
func (n *Node) Resume(name seed.Name) error {
	n.change.Lock()
	defer n.change.Unlock()
	hosts := n.snap.Load().hosts
	h, resumed := hosts[name], n.halted[name]
	switch {
	case n.closed:
		return ErrDraining
	case h == nil && resumed == nil:
		return fmt.Errorf("resume %s: %w", name, ErrNotHosted)
	case resumed == nil:
		return nil
	}
	delete(n.halted, name)
	if h != nil {
		if h.unloaded.Load() == nil {
			h.queue.reopen() // before anybody is sent there
		}
		h.resumed.Store(nil)
	}
	close(resumed)
	n.swap(maps.Clone(hosts), nil)
	n.log.Info(fmt.Sprintf("seed %s runs again", name))
	return nil
}

// keepPaused marks the hosts whose seed is paused. The caller holds n.change.
func (n *Node) keepPaused(hosts map[seed.Name]*host) {
	for name, resumed := range n.halted {
		if h := hosts[name]; h != nil && !h.paused() {
			h.resumed.Store(&resumed)
		}
	}
}
