package page_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/mesh/circle"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/internal/web/front"
	"github.com/recap/pumpkin/internal/web/page"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A member is a node of a test's network, with Go seeds.
type member struct {
	*node.Node
	t   testing.TB
	api http.Handler
	at  string // where others reach it

	mu  sync.Mutex
	fns map[seed.Name]gofn.Func
}

// network starts nodes of these names that all meet over TCP, until the test ends.
func network(t testing.TB, names ...string) []*member {
	t.Helper()
	server, client := meshtest.TLS(t)
	var members []*member
	for _, name := range names {
		m := &member{t: t, fns: map[seed.Name]gofn.Func{}}
		m.Node = node.New(node.Config{
			Name: name, Version: "test", Store: pebble.InMemory(pebble.Config{Size: 256 << 20}), Blobs: blob.Open(blob.Config{Dir: t.TempDir()}),
			Durability: node.Memory, Kinds: runner.Kinds{seed.Go: gofn.Kind(m.fn)},
		})
		m.api = web.Handler(web.Config{Node: m.Node, Outsiders: outsiders, Page: page.Handler()})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		m.at = l.Addr().String()
		cfg := circle.Config{
			Host: m.Node, Server: server, Client: client, Port: uint16(l.Addr().(*net.TCPAddr).Port), API: m.api, Log: slog.New(slog.DiscardHandler),
		}
		for _, other := range members {
			cfg.Join = append(cfg.Join, other.at)
		}
		c, err := circle.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		run(t, m.Run, c.Run, func(ctx context.Context) error { return c.Serve(ctx, l, true) })
		members = append(members, m)
	}
	testenv.Eventually(t, 20*time.Second, "all nodes have met", func() bool {
		for _, m := range members {
			if len(m.Peers()) != len(members)-1 {
				return false
			}
		}
		return true
	})
	return members
}

// run runs all until the test ends, and waits for them.
func run(t testing.TB, all ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	for _, f := range all {
		g.Go(func() error { return f(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func (m *member) fn(about seed.Manifest) gofn.Func {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fns[about.Name]
}

// host has the node host a seed.
func (m *member) host(name seed.Name, contract string, fn gofn.Func) {
	m.t.Helper()
	c, err := seed.ParseContract(contract)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	m.fns[name] = fn
	m.mu.Unlock()
	about := seed.Manifest{Name: name, Kind: seed.Go, Contract: c, Retries: 1, Version: "1"}
	if err := errors.Join(m.Host(m.t.Context(), about)...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) inject(state packet.State, data string) {
	m.t.Helper()
	if err := m.Inject(m.t.Context(), packet.Packet{State: state, Data: data}); err != nil {
		m.t.Fatal(err)
	}
}

// link serves a handler as a node would, and gives the link that the node prints.
func link(t testing.TB, h http.Handler) string {
	t.Helper()
	f, err := front.Open(front.Config{Address: "127.0.0.1:0", Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	run(t, f.Run)
	return f.Link(front.Host)
}

// say is a seed that gives its data with something in front of it.
func say(text string) gofn.Func {
	return func(_ context.Context, in packet.Packet, emit gofn.Emit) error { return emit("", text+in.Data) }
}

// A basket is a seed that keeps what it is given.
type basket struct {
	mu  sync.Mutex
	got []string
}

func (b *basket) run(_ context.Context, in packet.Packet, _ gofn.Emit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, in.Data)
	return nil
}

func (b *basket) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, got := range b.got {
		if got == text {
			return true
		}
	}
	return false
}
