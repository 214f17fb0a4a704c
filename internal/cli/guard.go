package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
)

const (
	// lookTime is how long a node that starts holds back what is stored, to see whether another
	// has its data folder, too: mostly nodes find each other within a tenth of that. copyTime is
	// the same for a folder that was moved, or whose machine was booted since, and nearTime for
	// such a folder of a node that does not leave its machine.
	lookTime = 2 * time.Second
	copyTime = 10 * time.Second
	nearTime = time.Second
	// copyLook is how often it looks then whether it is known.
	copyLook = 100 * time.Millisecond
)

// A guard is the store of a data folder of which there may be a copy, with a node that runs on
// it. Of two such nodes the second leases nothing of it, to itself or to others: each packet
// that lies in both would run twice.
type guard struct {
	*pebble.Store
	log   *slog.Logger
	moved bool          // it may be a copy
	left  int           // packets that lay there at the start
	wait  time.Duration // from the start on

	mu     sync.Mutex
	open   chan struct{}   // closed while nothing is held back
	leases context.Context // ends when it is; nil while it is
	stop   context.CancelFunc
	copyOf string // what the folder is a copy of, for people; "" is nothing
}

// newGuard makes a guard that holds nothing back.
func newGuard(ctx context.Context, s *pebble.Store, moved bool, log *slog.Logger) (*guard, error) {
	counts, err := s.Queues(ctx)
	if err != nil {
		return nil, err
	}
	g := &guard{Store: s, log: log, moved: moved, open: make(chan struct{})}
	for _, c := range counts {
		if c.Queue.Packets() {
			g.left += c.Packets
		}
	}
	g.free()
	return g, nil
}

// free lets frames be leased, unless the folder is known to be a copy.
func (g *guard) free() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leases == nil && g.copyOf == "" {
		g.leases, g.stop = context.WithCancel(context.Background())
		close(g.open)
	}
}

// hold has pulls wait. The caller holds the lock.
func (g *guard) hold() {
	if g.leases != nil {
		g.stop()
		g.leases, g.open = nil, make(chan struct{})
	}
}

// copied has the guard hold everything back until the node ends, since the folder is a copy of
// that of the node there. Where nothing lay in it, nothing can run twice.
func (g *guard) copied(at string) {
	g.mu.Lock()
	if g.left > 0 {
		g.hold()
	}
	g.copyOf = fmt.Sprintf("this folder is a copy of that of the node at %s; %s in both: end one and start it with an empty folder (--data DIR)", at, lieText(g.left))
	text := g.copyOf
	g.mu.Unlock()
	if g.left > 0 {
		text += "; this node came second and runs nothing of what is stored here"
	}
	g.log.Error(text)
}

func lieText(packets int) string {
	if packets == 1 {
		return "1 packet lies"
	}
	return english.Plural(packets, "packet", "") + " lie"
}

// text says what the folder is a copy of; "" is nothing.
func (g *guard) text() string {
	if g == nil {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return whole(g.copyOf)
}

// doubt has pulls wait, if there are packets, until it is known whether another node has the
// folder: one of another machine, if far.
func (g *guard) doubt(far bool) {
	if g == nil || g.left == 0 || !far && !g.moved {
		return
	}
	switch {
	case !far:
		g.wait = nearTime
	case g.moved:
		g.wait = copyTime
	default:
		g.wait = lookTime
	}
	g.mu.Lock()
	g.hold()
	g.mu.Unlock()
	if !g.moved {
		return
	}
	g.log.Info(fmt.Sprintf("the data folder may be a copy, since it was moved or the machine was booted: its %s for %v, in which a node that runs on the same would be met", waitText(g.left), g.wait))
}

func waitText(packets int) string {
	if packets == 1 {
		return "1 packet waits"
	}
	return english.Plural(packets, "packet", "") + " wait"
}

// watch ends the doubt after a while, or when ctx ends; it goes on for as long as there is a
// reason.
func (g *guard) watch(ctx context.Context, reason func() bool) {
	if g == nil {
		return
	}
	for wait := g.wait; ; wait = copyLook {
		look := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			look.Stop()
			return
		case <-look.C:
		}
		if !reason() {
			g.free()
			return
		}
	}
}

// Pull leases frames as the store does, while nothing is held back.
func (g *guard) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	for {
		g.mu.Lock()
		open, leases := g.open, g.leases
		g.mu.Unlock()
		if leases == nil {
			select {
			case <-open:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		within, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(leases, cancel)
		got, err := g.Store.Pull(within, from, most)
		stop()
		cancel()
		if leases.Err() == nil || ctx.Err() != nil {
			return got, err
		}
		var failed error
		for _, l := range got { // of what was leased just then nothing has begun
			failed = errors.Join(failed, l.Release(0))
		}
		if failed != nil {
			return nil, failed
		}
	}
}
