package node

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
)

// A circle is several nodes in one process that meet without anything between
// them.
type circle struct {
	t     *testing.T
	nodes []*world

	telling sync.Mutex // held while nodes hear who their peers are: the newest last
	mu      sync.Mutex
	links   map[[2]*world]*link // of the first with the second
}

// A link is how one node sees another.
type link struct {
	*world                    // the other
	store  mesh.Store         // the other's
	cut    context.CancelFunc // ends what the store was asked for
	gone   chan struct{}
}

func (l *link) Store() mesh.Store                               { return l.store }
func (l *link) At() string                                      { return "here" }
func (l *link) Gone() <-chan struct{}                           { return l.gone }
func (l *link) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("not here") }

func newCircle(t *testing.T) *circle {
	return &circle{t: t, links: map[[2]*world]*link{}}
}

// node makes one with a store for the durability; it runs until the test ends.
func (c *circle) node(name string, d Durability) *world {
	c.t.Helper()
	w := &world{t: c.t, fns: map[string]gofn.Func{}}
	var s store.Store = inMemory(c.t, pebble.Config{Size: 256 << 20})
	if d == Disk {
		js, err := pebble.Open(c.t.Context(), pebble.Config{Dir: c.t.TempDir()})
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() {
			if err := js.Close(); err != nil {
				c.t.Error(err)
			}
		})
		s = js
	}
	w.Node = New(Config{Name: name, Run: "run", Store: s, Blobs: blob.Open(blob.Config{Dir: c.t.TempDir()}), Durability: d, Kinds: w.kinds()})
	w.start()
	c.nodes = append(c.nodes, w)
	return w
}

// meet has all nodes know each other, and of each other's changes.
func (c *circle) meet(nodes ...*world) {
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				c.join(a, b)
			}
		}
	}
	c.tell(nodes...)
}

// join lets a use b's store.
func (c *circle) join(a, b *world) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.links[[2]*world{a, b}] != nil {
		return
	}
	ctx, cut := context.WithCancel(context.Background())
	l := &link{world: b, cut: cut, gone: make(chan struct{})}
	l.store = &cutStore{Store: b.Serve(ctx, a.Name(), a.Boot()), ctx: ctx}
	c.links[[2]*world{a, b}] = l
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() { // brings b's changes to a
		defer close(done)
		for {
			changed := b.Changed()
			c.tell(a)
			select {
			case <-changed:
			case <-l.gone:
				return
			case <-stop:
				return
			}
		}
	}()
	c.t.Cleanup(func() { close(stop); <-done; cut() })
}

// part has two nodes lose each other.
func (c *circle) part(a, b *world) {
	for _, pair := range [][2]*world{{a, b}, {b, a}} {
		c.mu.Lock()
		l := c.links[pair]
		delete(c.links, pair)
		c.mu.Unlock()
		if l != nil {
			close(l.gone)
			l.cut()
		}
	}
	c.tell(a, b)
}

// tell gives nodes the peers that they have now.
func (c *circle) tell(nodes ...*world) {
	c.telling.Lock()
	defer c.telling.Unlock()
	for _, a := range nodes {
		var peers []mesh.Peer
		c.mu.Lock()
		for pair, l := range c.links {
			if pair[0] == a {
				peers = append(peers, l)
			}
		}
		c.mu.Unlock()
		a.Meet(peers)
	}
}

// A cutStore answers nothing any more when its link was cut.
type cutStore struct {
	mesh.Store
	ctx context.Context
}

func (s *cutStore) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	leases, err := s.Store.Pull(ctx, from, most)
	if s.ctx.Err() != nil {
		return nil, mesh.ErrGone
	}
	return leases, err
}

func (s *cutStore) Append(ctx context.Context, to store.Queue, f store.Frame) error {
	if s.ctx.Err() != nil {
		return mesh.ErrGone
	}
	return s.Store.Append(ctx, to, f)
}

// rests waits until nothing lies in the stores of the nodes.
func (c *circle) rests(within time.Duration) {
	c.t.Helper()
	testenv.Eventually(c.t, within, "every store is empty", func() bool {
		for _, w := range c.nodes {
			if n, err := w.count(c.t.Context()); err != nil || n > 0 {
				return false
			}
		}
		return true
	})
}

// eachPair runs test with each durability of two nodes.
func eachPair(t *testing.T, test func(t *testing.T, a, b Durability)) {
	for _, a := range []Durability{None, Memory, Disk} {
		for _, b := range []Durability{None, Memory, Disk} {
			t.Run(a.String()+" and "+b.String(), func(t *testing.T) {
				t.Parallel()
				test(t, a, b)
			})
		}
	}
}
