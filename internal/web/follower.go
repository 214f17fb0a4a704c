package web

import (
	"context"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
)

const (
	// followPause is how long a node is left alone whose events ended.
	followPause = time.Second
	// followQuiet is how long the events of a node may be silent.
	followQuiet = 3 * api.StatusTime
)

// A follower knows what another node does.
type follower struct {
	net  *network
	peer mesh.Peer
	stop context.CancelFunc

	mu       sync.Mutex
	member   api.Member
	known    bool
	answered chan struct{} // closed when member is known
}

// latest is what the node does; false means that it has said nothing so far.
func (f *follower) latest() (api.Member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.member, f.known
}

func (f *follower) set(m api.Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.member = m; !f.known {
		f.known = true
		close(f.answered)
	}
}

// run follows the node until ctx ends. Nodes that meet in a cluster answer one
// question at a time: there is no stream.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if f.peer.Store() == nil || f.follow(ctx) != nil && ctx.Err() == nil {
			f.set(f.net.member(ctx, f.peer))
		}
		select {
		case <-time.After(followPause):
		case <-f.peer.Gone():
			return
		case <-ctx.Done():
		}
	}
}

// follow reads the node's events until they end.
func (f *follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(followQuiet, cancel)
	defer quiet.Stop()
	return api.NewClientOver(f.peer).Events(ctx, func(st api.Status) {
		quiet.Reset(followQuiet)
		f.set(f.net.answered(f.peer, st))
	})
}
