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
func (r *roster) Pause(ctx context.Context, name seed.Name) error {
	r.entering.Add(1)
	defer r.entering.Add(-1)
	h, left, err := r.pause(name)
	if err != nil || h == nil {
		return err
	}
	r.log.Info(fmt.Sprintf("seed %s is paused: 'pmk resume %s' lets it run again", name, name), "seed", name)
	return r.putBack(ctx, h, left)
}

// pause closes the way to the seed, and gives what was queued for it. The host is
// nil where nothing is to be done.
func (r *roster) pause(name seed.Name) (h *host, left withdrawn, err error) {
	r.change.Lock()
	defer r.change.Unlock()
	hosts := r.snap.Load().hosts
	h = hosts[name]
	switch {
	case r.closed || r.injecting.Err() != nil:
		return nil, withdrawn{}, ErrDraining
	case h == nil:
		return nil, withdrawn{}, fmt.Errorf("pause %s: %w", name, ErrNotHosted)
	case h.paused():
		return nil, withdrawn{}, nil
	}
	r.halted[name] = make(chan struct{})
	r.swap(maps.Clone(hosts), nil)
	return h, h.withdraw(), nil
}

// Resume has a paused seed take packets again. It is no error if it does already.
func (r *roster) Resume(name seed.Name) error {
	r.change.Lock()
	defer r.change.Unlock()
	hosts := r.snap.Load().hosts
	h, resumed := hosts[name], r.halted[name]
	switch {
	case r.closed:
		return ErrDraining
	case h == nil && resumed == nil:
		return fmt.Errorf("resume %s: %w", name, ErrNotHosted)
	case resumed == nil:
		return nil
	}
	delete(r.halted, name)
	if h != nil {
		if h.unloaded.Load() == nil {
			h.queue.reopen() // before anybody is sent there
		}
		h.resumed.Store(nil)
	}
	close(resumed)
	r.swap(maps.Clone(hosts), nil)
	r.log.Info(fmt.Sprintf("seed %s runs again", name), "seed", name)
	return nil
}
