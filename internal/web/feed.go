package web

import (
	"context"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/mesh"
)

// feedTime is how often the network is looked at while somebody reads its events.
const feedTime = 250 * time.Millisecond

// firstTime is how long the first look waits for the other nodes.
const firstTime = time.Second

// maxReaders is how many may read a node's events at a time.
const maxReaders = 64

// A feed looks at the network again and again while somebody reads: nobody, and it
// costs nothing. Readers have no backlog: each looks at the newest view when it has
// time, and works out itself what has changed since its last.
type feed struct {
	net *network

	life    sync.Mutex // held while it starts and stops
	readers int
	stop    func()

	mu     sync.Mutex
	newest *view
	later  chan struct{} // closed when there is a newer view
}

// A view is the network at one moment. It does not change.
type view struct {
	api.Network
	shape  string
	number int // of the views so far
	at     time.Time
}

// join begins to read; false means that there are too many readers. Who has joined
// calls leave.
func (f *feed) join() bool {
	f.life.Lock()
	defer f.life.Unlock()
	if f.readers == maxReaders {
		return false
	}
	if f.readers++; f.readers > 1 {
		return true
	}
	f.newest, f.later = nil, make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.run(ctx)
	}()
	f.stop = func() {
		cancel()
		<-ended
	}
	return true
}

// leave ends to read; with the last reader the feed ends.
func (f *feed) leave() {
	f.life.Lock()
	defer f.life.Unlock()
	if f.readers--; f.readers == 0 {
		f.stop()
	}
}

// latest gives the newest view, nil if there is none yet, and a channel that is
// closed when there is a newer one.
func (f *feed) latest() (*view, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newest, f.later
}

// run makes views until ctx ends.
func (f *feed) run(ctx context.Context) {
	followers := map[mesh.Peer]*follower{}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(feedTime)
	defer tick.Stop()
	for number := 1; ; number++ {
		peers := f.net.Node.Peers()
		known := followers
		followers = map[mesh.Peer]*follower{}
		for _, p := range peers {
			o := known[p]
			if o == nil {
				o = &follower{net: f.net, peer: p, answered: make(chan struct{})}
				var within context.Context
				within, o.stop = context.WithCancel(ctx)
				running.Go(func() { o.run(within) })
			}
			delete(known, p)
			followers[p] = o
		}
		for _, o := range known {
			o.stop()
		}
		if number == 1 {
			awaitAll(ctx, followers)
		}
		members := []api.Member{f.net.own(ctx)}
		for _, p := range peers {
			if m, ok := followers[p].latest(); ok {
				members = append(members, m)
			}
		}
		f.net.seen.forgetOthers(peers)
		f.publish(number, f.net.sum(members))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (f *feed) publish(number int, all api.Network) {
	v := &view{Network: all, shape: sum.Shape(&all), number: number, at: time.Now()}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest = v
	close(f.later)
	f.later = make(chan struct{})
}

// awaitAll waits until all have said something, but not for long.
func awaitAll(ctx context.Context, followers map[mesh.Peer]*follower) {
	ctx, cancel := context.WithTimeout(ctx, firstTime)
	defer cancel()
	for _, o := range followers {
		select {
		case <-o.answered:
		case <-ctx.Done():
			return
		}
	}
}
