package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// long bounds what should take no time.
const long = 30 * time.Second

// cluster starts so many servers, and gives them when they are one.
func cluster(t *testing.T, size int) []*server.Server {
	t.Helper()
	// All have to know the others' addresses before any of them starts.
	routes := make([]string, size)
	ports := make([]int, size)
	for i := range routes {
		ports[i] = testenv.FreePort(t)
		routes[i] = fmt.Sprintf("nats-route://127.0.0.1:%d", ports[i])
	}
	var all []*server.Server
	for i := range size {
		opts := &server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
		}
		if size > 1 {
			opts.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
			opts.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		}
		s, err := server.NewServer(opts)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		all = append(all, s)
	}
	for _, s := range all {
		if !s.ReadyForConnections(long) {
			t.Fatalf("the server %s does not start", s.Name())
		}
	}
	if size > 1 {
		testenv.Eventually(t, long, "the cluster has a leader that knows all servers", func() bool {
			return slices.ContainsFunc(all, func(s *server.Server) bool {
				return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == size
			})
		})
	}
	return all
}

// A node is one that says who it is, and hears who is there.
type node struct {
	t    *testing.T
	conn *nats.Conn
	api  http.Handler
	end  context.CancelFunc
	over chan error // what Run returned

	mu      sync.Mutex
	card    mesh.Card
	changed chan struct{}
	peers   []mesh.Peer
	meets   int
}

func (n *node) Card() mesh.Card {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.card
}

func (n *node) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

func (n *node) Serve(context.Context, string, packet.ID) mesh.Served { return nil }

func (n *node) Meet(peers []mesh.Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers = slices.Clone(peers)
	n.meets++
}

// host has the node host another seed.
func (n *node) host(name seed.Name) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.card.Seeds = append(slices.Clone(n.card.Seeds), mesh.Hosted{Manifest: seed.Manifest{
		Name: name, Kind: seed.Go, Contract: seed.Contract{In: []packet.State{"String:RAW"}},
	}})
	close(n.changed)
	n.changed = make(chan struct{})
}

// sees are the names of the peers.
func (n *node) sees() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for _, p := range n.peers {
		names = append(names, p.Card().Node)
	}
	return strings.Join(names, " ")
}

func (n *node) peer(name string) mesh.Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.peers {
		if p.Card().Node == name {
			return p
		}
	}
	return nil
}

func (n *node) met() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.meets
}

// urlsOf are the addresses of the servers, the first one first.
func urlsOf(servers ...*server.Server) string {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	return strings.Join(urls, ",")
}

// dial is a node that has not joined yet.
func dial(t *testing.T, name string, servers ...*server.Server) *node {
	t.Helper()
	conn, err := nats.Connect(urlsOf(servers...), nats.DontRandomize(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &node{t: t, conn: conn, over: make(chan error, 1), changed: make(chan struct{}), card: mesh.Card{Node: name, Boot: packet.NewID(), Version: "test"}}
}

func (n *node) join(group string) (*Hub, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), long)
	defer cancel()
	return Join(ctx, Config{Conn: n.conn, Group: group, Host: n, API: n.api, Log: slog.New(slog.NewTextHandler(n.t.Output(), nil))})
}

// run joins the group and stays there until the test ends or leave is called.
func (n *node) run(group string) *node {
	n.t.Helper()
	h, err := n.join(group)
	if err != nil {
		n.t.Fatalf("%s: %v", n.card.Node, err)
	}
	ctx, cancel := context.WithCancel(n.t.Context())
	n.end = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.over <- h.Run(ctx)
	}()
	n.t.Cleanup(func() { cancel(); <-done })
	return n
}

// heardGone begins to listen to what nodes say of others that pings found gone, and gives
// what tells whether any did.
func (n *node) heardGone() func() bool {
	n.t.Helper()
	sub, err := n.conn.SubscribeSync("pmkmesh.*.gone")
	if err == nil {
		err = n.conn.FlushTimeout(long)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return func() bool {
		n.t.Helper()
		err := n.conn.FlushTimeout(long) // what the node said itself is there then
		said, _, perr := sub.Pending()
		if err = errors.Join(err, perr); err != nil {
			n.t.Fatal(err)
		}
		return said > 0
	}
}

// eventually waits until the node sees these, and tells how long that took.
func (n *node) eventually(peers string, within time.Duration) time.Duration {
	n.t.Helper()
	start := time.Now()
	testenv.Eventually(n.t, within, fmt.Sprintf("%s sees %q", n.Card().Node, peers), func() bool { return n.sees() == peers })
	return time.Since(start)
}
