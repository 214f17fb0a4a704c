package meshtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/circle"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
)

// A world is nodes in one process, over a network in memory, without TLS.
type world struct {
	t      *testing.T
	net    *meshtest.Network
	log    *slog.Logger
	ctx    context.Context
	group  errgroup.Group
	hosts  []*meshtest.Host
	before figures
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{t: t, net: meshtest.NewNetwork(), log: slog.New(slog.DiscardHandler), ctx: ctx, before: measure()}
	t.Cleanup(func() {
		cancel()
		if err := w.group.Wait(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// addr is the address of the i-th node.
func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7900)
}

// node starts the i-th node, which joins the first.
func (w *world) node(i int) {
	w.t.Helper()
	host := meshtest.NewHost(fmt.Sprintf("node%d", i), pebble.InMemory(pebble.Config{}))
	cfg := circle.Config{Host: host, Port: addr(i).Port(), Dial: w.net.Dialer(addr(i).Addr()), Log: w.log}
	if i > 0 {
		cfg.Join = []string{addr(0).String()}
	}
	c, err := circle.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := w.net.Listen(addr(i))
	if err != nil {
		w.t.Fatal(err)
	}
	w.group.Go(func() error { return c.Serve(w.ctx, l, false) })
	w.group.Go(func() error { return c.Run(w.ctx) })
	w.hosts = append(w.hosts, host)
}

// light starts the i-th node as one that only speaks the protocol, with the first
// alone.
func (w *world) light(i int) {
	w.t.Helper()
	host := meshtest.NewHost(fmt.Sprintf("node%d", i), pebble.InMemory(pebble.Config{}))
	card := host.Card()
	me := link.Hello{Protocol: mesh.Protocol, Node: card.Node, Boot: card.Boot, Port: addr(i).Port()}
	server := link.NewServer(link.ServerConfig{Host: host, Hello: func() link.Hello { return me }, Log: w.log})
	l, err := w.net.Listen(addr(i))
	if err != nil {
		w.t.Fatal(err)
	}
	w.group.Go(func() error { return server.Serve(w.ctx, l, nil, nil) })
	conn, err := w.net.Dialer(addr(i).Addr())(w.ctx, addr(0).String())
	if err != nil {
		w.t.Fatal(err)
	}
	var p *link.Peer
	p, err = link.Dial(w.ctx, conn, link.Client{Hello: me, Changed: func() { host.Meet([]mesh.Peer{p}) }})
	if err != nil {
		w.t.Fatal(err)
	}
	host.Meet([]mesh.Peer{p})
	w.group.Go(func() error {
		p.Run(w.ctx) // it ends with the test
		return nil
	})
	w.hosts = append(w.hosts, host)
}

// Figures of this process.
type figures struct {
	goroutines int
	memory     uint64        // that is held
	cpu        time.Duration // used so far
}

func measure() figures {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return figures{goroutines: runtime.NumGoroutine(), memory: m.HeapInuse + m.StackInuse, cpu: used()}
}

// used is how long processors have worked for this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it has no reason to
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report measures an idle network, and how long a new seed of the first node
// takes to be known by all. share is how many nodes the cost is divided among.
func (w *world) report(share int, began time.Time) {
	w.t.Helper()
	met := time.Since(began)
	const idle = 5 * time.Second
	before := used()
	timer := time.NewTimer(idle)
	<-timer.C
	spent := used() - before
	now := measure()

	begin := time.Now()
	w.hosts[0].AddSeed("new")
	testenv.Eventually(w.t, 20*time.Second, "everybody knows of the new seed", func() bool {
		for _, h := range w.hosts[1:] {
			if !knows(h) {
				return false
			}
		}
		return true
	})
	known := time.Since(begin)
	w.t.Logf("%d nodes: all met after %v; per node %d goroutines, %d KiB, %.2f %% of a core when idle; a new seed is known to all after %v",
		len(w.hosts), met.Round(time.Millisecond), (now.goroutines-w.before.goroutines)/share, (now.memory-w.before.memory)/uint64(share)>>10,
		100*spent.Seconds()/idle.Seconds()/float64(share), known.Round(100*time.Microsecond))
	if len(w.hosts) <= 10 && known > time.Second {
		w.t.Errorf("a new seed takes %v to be known; expected at most a second", known)
	}
}

func knows(h *meshtest.Host) bool {
	for _, p := range h.Peers() {
		for _, s := range p.Card().Seeds {
			if s.Manifest.Name == "new" {
				return true
			}
		}
	}
	return false
}

// TestFullMesh has nodes that all know each other.
func TestFullMesh(t *testing.T) {
	for _, n := range []int{10, many} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			if n > 10 && testing.Short() {
				t.Skip("not in a short run")
			}
			w := newWorld(t)
			began := time.Now()
			// One after the other: all at once they would be as many
			// machines on the processors of one. The limit is for a machine
			// with other work, on which connections are missed and met again.
			for i := range n {
				w.node(i)
				testenv.Eventually(t, 5*time.Minute, "the new node and all others have met", func() bool {
					for _, h := range w.hosts {
						if len(h.Peers()) != i {
							return false
						}
					}
					return true
				})
			}
			w.report(n, began)
		})
	}
}

// TestThousand has one node with as many peers as the environment variable
// PMK_TEST_PEERS says, which only speak the protocol: a full mesh of a thousand
// would be a million connections. They are in the process as well, so the cost of
// the node is about half of what is measured.
func TestThousand(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("PMK_TEST_PEERS"))
	if err != nil {
		t.Skip("PMK_TEST_PEERS is not set")
	}
	w := newWorld(t)
	began := time.Now()
	w.node(0)
	for i := range n {
		w.light(i + 1)
	}
	testenv.Eventually(t, 5*time.Minute, "the node has met everybody", func() bool { return len(w.hosts[0].Peers()) == n })
	w.report(2, began)
}
