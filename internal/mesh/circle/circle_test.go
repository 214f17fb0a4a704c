package circle

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A network is nodes of one test that have one key.
type network struct {
	t              testing.TB
	server, client *tls.Config
	// tells, unless nil, is the port that a node says it is reached at.
	tells func(real netip.AddrPort) uint16
	// period, unless 0, is how often nodes search the folder where they meet.
	period time.Duration
	// data names the folder of the nodes that are started; "" is none.
	data string
}

func newNetwork(t testing.TB) *network {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	n := &network{t: t}
	n.server, n.client = meshtest.TLS(t)
	return n
}

// A node is one of a network.
type node struct {
	*Circle
	host *meshtest.Host
	log  *testenv.Journal
	addr netip.AddrPort // over TCP
	// copied is where the node is reached that was first to have the same folder.
	copied atomic.Pointer[string]
	stop   func()
}

// A way of a node to be reached.
const (
	overTCP = 1 << iota
	overUnix
)

// start starts a node.
func (n *network) start(name string, ways int, join ...string) *node {
	n.t.Helper()
	nd := &node{host: meshtest.NewHost(name, pebble.InMemory(pebble.Config{})), log: &testenv.Journal{}}
	cfg := Config{Host: nd.host, Join: join, Log: slog.New(slog.NewTextHandler(nd.log, nil))}
	cfg.Data, cfg.Copied = n.data, func(at string) { nd.copied.Store(&at) }
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	var listeners []net.Listener
	if ways&overTCP != 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			n.t.Fatal(err)
		}
		listeners = append(listeners, l)
		nd.addr = l.Addr().(*net.TCPAddr).AddrPort()
		cfg.Server, cfg.Client, cfg.Port = n.server, n.client, nd.addr.Port()
		if n.tells != nil {
			cfg.Port = n.tells(nd.addr)
		}
	}
	if ways&overUnix != 0 {
		l, err := local.Listen("default", name)
		if err != nil {
			n.t.Fatal(err)
		}
		listeners = append(listeners, l)
		cfg.Folder = filepath.Dir(l.Addr().String())
	}
	var err error
	if nd.Circle, err = New(cfg); err != nil {
		n.t.Fatal(err)
	}
	nd.folderPeriod = cmp.Or(n.period, nd.folderPeriod)
	for _, l := range listeners {
		g.Go(func() error { return nd.Serve(ctx, l, l.Addr().Network() == "tcp") })
	}
	g.Go(func() error { return nd.Run(ctx) })
	nd.stop = sync.OnceFunc(func() {
		cancel()
		if err := g.Wait(); err != nil {
			n.t.Error(err)
		}
		if wrong := nd.host.Wrong(); len(wrong) > 0 {
			n.t.Error(wrong)
		}
	})
	n.t.Cleanup(nd.stop)
	return nd
}

// names are the peers of a node, and how they are reached.
func (nd *node) names() string {
	var names []string
	for _, p := range nd.host.Peers() {
		scheme, _, _ := strings.Cut(p.At(), ":")
		names = append(names, p.Card().Node+" "+scheme)
	}
	return strings.Join(names, ", ")
}

// expect waits until these are the peers of a node.
func (n *network) expect(nd *node, within time.Duration, want string) {
	n.t.Helper()
	end := time.Now().Add(within)
	got := ""
	testenv.Eventually(tell{n.t, func() string { return fmt.Sprintf("has %q\n%s", got, nd.log) }}, time.Until(end), nd.me.Node+" has met "+want, func() bool {
		got = nd.names()
		return got == want
	})
}

// notSilent expects that nodes were gone for these when their connection ended, and not
// only when nothing had been heard of them for a while.
func notSilent(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, nd := range nodes {
		if log := nd.log.String(); !strings.Contains(log, "has gone") || strings.Contains(log, "nothing was heard") {
			t.Errorf("the log of %s is\n%s", nd.me.Node, log)
		}
	}
}

// tell adds to a failure what there is instead.
type tell struct {
	testing.TB
	more func() string
}

func (t tell) Fatalf(format string, args ...any) {
	t.Helper()
	t.TB.Fatalf("%s; it %s", fmt.Sprintf(format, args...), t.more())
}

func TestJoin(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	b := n.start("b", overTCP, a.addr.String())
	c := n.start("c", overTCP, a.addr.String())
	// Who joins one joins all.
	n.expect(a, 5*time.Second, "b tcp, c tcp")
	n.expect(b, 5*time.Second, "a tcp, c tcp")
	n.expect(c, 5*time.Second, "a tcp, b tcp")

	a.host.AddSeed("greet")
	testenv.Eventually(t, 10*time.Second, "b knows of the seed", func() bool {
		for _, p := range b.host.Peers() {
			if p.Card().Node == "a" {
				return len(p.Card().Seeds) == 1
			}
		}
		return false
	})
	if got := c.Counts(); got.Peers != 2 || got.Visitors != 2 || got.Gate.Passed < 2 {
		t.Errorf("counts %+v", got)
	}
	b.stop()
	n.expect(a, 10*time.Second, "c tcp")
	n.expect(c, 10*time.Second, "a tcp")
	notSilent(t, a, c)
	if log := a.log.String(); !strings.Contains(log, "connected to node b") || !strings.Contains(log, "node b has gone") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestSameMachine has nodes meet in a folder. They learn at once what changes there.
func TestSameMachine(t *testing.T) {
	n := newNetwork(t)
	n.period = time.Hour
	a := n.start("a", overUnix)
	begin := time.Now()
	b := n.start("b", overUnix)
	n.expect(a, 10*time.Second, "b unix")
	n.expect(b, 10*time.Second, "a unix")
	t.Logf("met within %v", time.Since(begin))
	b.stop()
	n.expect(a, 10*time.Second, "")
	notSilent(t, a)
	// It starts again under its name.
	b = n.start("b", overUnix)
	n.expect(a, 10*time.Second, "b unix")
	n.expect(b, 10*time.Second, "a unix")
}

// TestRestart has a node that starts again, elsewhere, and one that is joined by
// nobody but is told of it.
func TestRestart(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	b := n.start("b", overTCP, a.addr.String())
	c := n.start("c", overTCP, a.addr.String())
	n.expect(c, 5*time.Second, "a tcp, b tcp")
	first := b.me.Boot
	b.stop()
	n.expect(a, 10*time.Second, "c tcp")
	notSilent(t, a)
	b = n.start("b", overTCP, a.addr.String())
	n.expect(a, 5*time.Second, "b tcp, c tcp")
	n.expect(b, 5*time.Second, "a tcp, c tcp")
	n.expect(c, 5*time.Second, "a tcp, b tcp")
	for _, p := range c.host.Peers() {
		if p.Card().Boot == first {
			t.Error("c has the node that ended as a peer")
		}
	}
}

// TestBack tells of a node that was not heard of for a while: it is tried at once,
// and one that is heard of all the time is not.
func TestBack(t *testing.T) {
	server, client := meshtest.TLS(t)
	c, err := New(Config{Host: meshtest.NewHost("a", pebble.InMemory(pebble.Config{})), Server: server, Client: client, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	boot, at := packet.NewID(), netip.MustParseAddrPort("10.0.0.1:7900")
	c.Sight(boot, at, mesh.Protocol)
	c.Sight(boot, at, mesh.Protocol)
	cand := c.candidates["tcp://10.0.0.1:7900"]
	if len(cand.again) != 0 {
		t.Error("one that is heard of all the time is tried before its time")
	}
	cand.heard = cand.heard.Add(-2 * away)
	c.Sight(boot, at, mesh.Protocol)
	if len(cand.again) != 1 {
		t.Error("one that is back is not tried at once")
	}
}

// TestMetAndGone has connections that are cut soon after they were made: a node is tried
// again with growing delays, not as fast as can be.
func TestMetAndGone(t *testing.T) {
	n := newNetwork(t)
	var dialled atomic.Int64
	var nodes [2]atomic.Pointer[node]
	met := func() (times int) { // that a node had met the other
		for i := range nodes {
			if nd := nodes[i].Load(); nd != nil {
				times += nd.host.Met()
			}
		}
		return times
	}
	n.tells = func(real netip.AddrPort) uint16 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				dialled.Add(1)
				go cutSoon(conn, real, met)
			}
		}()
		return l.Addr().(*net.TCPAddr).AddrPort().Port()
	}
	a := n.start("a", overTCP)
	nodes[0].Store(a)
	nodes[1].Store(n.start("b", overTCP, fmt.Sprint("127.0.0.1:", a.cfg.Port)))
	testenv.Eventually(t, time.Minute, "they meet", func() bool { return met() > 0 })
	before := dialled.Load()
	time.Sleep(3 * time.Second) // two candidates of each: 0.1 s, 0.2, 0.4, 0.8, 1.6
	if count := dialled.Load() - before; count > 40 {
		t.Errorf("in 3 s there were %d connections", count)
	}
}

// cutSoon is a connection to a node that ends once nodes have met over it, or another,
// and after a second if they did not.
func cutSoon(conn net.Conn, to netip.AddrPort, met func() int) {
	defer conn.Close()
	real, err := net.Dial("tcp", to.String())
	if err != nil {
		return
	}
	defer real.Close()
	go io.Copy(real, conn) // both end with the connections
	go io.Copy(conn, real)
	before := met()
	for end := time.Now().Add(time.Second); met() == before && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// TestRecordedBeacons sends beacons again and again from thousands of addresses where nobody
// is: few are dialled at a time, and a node that lives is met all the same, and believed.
func TestRecordedBeacons(t *testing.T) {
	n := newNetwork(t)
	a, b := n.start("a", overTCP), n.start("b", overTCP)
	number := 0
	replay := func() {
		number++
		// Every address of 127.1 is this machine, and refuses.
		a.Sight(packet.NewID(), netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(number >> 8), byte(number)}), 1), mesh.Protocol)
		if count := a.Counts().Candidates; count > maxUnbelieved+1 { // and b
			t.Fatalf("there are %d candidates; expected at most %d and b", count, maxUnbelieved)
		}
	}
	for range 10 * maxUnbelieved {
		replay()
	}
	testenv.Eventually(t, 20*time.Second, "a meets b", func() bool {
		replay()
		a.Sight(b.me.Boot, b.addr, mesh.Protocol) // as its beacon does
		return len(a.host.Peers()) == 1
	})
	for range 10 * maxUnbelieved {
		replay()
	}
	if a.names() != "b tcp" {
		t.Errorf("a has met %q; expected b", a.names())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if cand := a.candidates["tcp://"+b.addr.String()]; cand == nil || cand.unbelieved != nil {
		t.Errorf("the node that was met has no place of its own: %+v", cand)
	}
}

func TestTwoWays(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP|overUnix)
	b := n.start("b", overTCP|overUnix, a.addr.String(), a.addr.String())
	a.Sight(b.me.Boot, b.addr, mesh.Protocol)
	a.Sight(a.me.Boot, a.addr, mesh.Protocol) // itself
	b.Sight(packet.NewID(), b.addr, mesh.Protocol)
	n.expect(a, 5*time.Second, "b unix")
	n.expect(b, 5*time.Second, "a unix")
	// The socket goes, the way over TCP stays.
	if err := os.Remove(filepath.Join(a.cfg.Folder, "b.sock")); err != nil {
		t.Fatal(err)
	}
	a.Sight(b.me.Boot, b.addr, mesh.Protocol)
	testenv.Eventually(t, 5*time.Second, "a reaches b over TCP", func() bool {
		a.Sight(b.me.Boot, b.addr, mesh.Protocol) // as a beacon does
		return a.names() == "b tcp"
	})
	n.expect(b, 10*time.Second, "a unix")
}

func TestSameName(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	b := n.start("b", overTCP, a.addr.String())
	n.expect(a, 5*time.Second, "b tcp")
	boot := a.host.Peers()[0].Card().Boot
	second := n.start("b", overTCP, a.addr.String())
	testenv.Eventually(t, 20*time.Second, "both name the other", func() bool {
		return strings.Contains(a.log.String(), "another with --data DIR") && strings.Contains(second.log.String(), "another with --data DIR")
	})
	if peers := a.host.Peers(); len(peers) != 1 || peers[0].Card().Boot != boot {
		t.Errorf("a has %s; expected the first b alone", a.names())
	}
	found := false
	for _, o := range a.Unmet() {
		found = found || o.Boot == second.me.Boot && strings.Contains(o.Why, "another with --data DIR")
	}
	if !found {
		t.Errorf("the second b is not among %+v", a.Unmet())
	}
	if n := strings.Count(a.log.String(), "is not a peer"); n != 1 {
		t.Errorf("it is named %d times; expected once", n)
	}
	// The first one ends, and the second takes its place.
	b.stop()
	n.expect(a, 10*time.Second, "b tcp")
}

func TestOtherProtocol(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	b := n.start("b", overTCP)
	b.me.Protocol++ // before anybody asked
	boot := packet.NewID()
	for range 3 {
		a.Sight(boot, netip.MustParseAddrPort("192.0.2.1:7900"), 7)
		a.Sight(b.me.Boot, b.addr, mesh.Protocol)
	}
	testenv.Eventually(t, 5*time.Second, "both are listed", func() bool { return len(a.Unmet()) == 2 })
	for _, o := range a.Unmet() {
		if !strings.Contains(o.Why, "protocol") {
			t.Errorf("%+v", o)
		}
	}
	testenv.Eventually(t, 5*time.Second, "each is named", func() bool { return strings.Count(a.log.String(), "is not a peer") == 2 })
	n.expect(a, 0, "")
}

func TestUnreachable(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	b := n.start("b", overTCP)
	b.me.Port = 1 // nobody listens there
	b.Sight(a.me.Boot, a.addr, mesh.Protocol)
	n.expect(b, 5*time.Second, "a tcp")
	testenv.Eventually(t, 5*time.Second, "a says that it cannot reach b", func() bool {
		o := a.Unmet()
		return len(o) == 1 && o[0].Node == "b" && o[0].Reason == mesh.OneWay && o[0].At == "tcp://127.0.0.1:1" && strings.HasSuffix(o[0].Why, mesh.ConnectionRefused.Why())
	})
}

func TestJoinLater(t *testing.T) {
	n := newNetwork(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	b := n.start("b", overTCP, addr.String())
	testenv.Eventually(t, 5*time.Second, "the failure is told", func() bool { return strings.Contains(b.log.String(), "cannot join yet") })
	// Another program has the port first.
	other, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := other.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("SSH-2.0-OpenSSH\r\n"))
	conn.Close()
	other.Close()

	a := &node{host: meshtest.NewHost("a", pebble.InMemory(pebble.Config{})), log: &testenv.Journal{}}
	a.Circle, err = New(Config{Host: a.host, Server: n.server, Client: n.client, Port: addr.Port(), Log: slog.New(slog.NewTextHandler(a.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if l, err = net.Listen("tcp", addr.String()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return a.Run(ctx) })
	g.Go(func() error { return a.Serve(ctx, l, true) })
	n.expect(b, 10*time.Second, "a tcp")
	n.expect(a, 10*time.Second, "b tcp")
	for _, reason := range []mesh.Reason{mesh.ConnectionRefused, mesh.NoNode} {
		if n := strings.Count(b.log.String(), fmt.Sprintf("reason=%s ", reason)); n != 1 {
			t.Errorf("the failure %s is told %d times; expected once:\n%s", reason, n, b.log)
		}
	}
	if !strings.Contains(b.log.String(), "joined") {
		t.Errorf("that it works is not told:\n%s", b.log)
	}
	cancel()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	if port > 65000 {
		t.Skip("the system gave the end of its ports")
	}
	l, err := listen("127.0.0.1", port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.Addr().(*net.TCPAddr).Port; got <= port {
		t.Errorf("port %d; expected one after %d", got, port)
	}
	if l, err := listen("192.0.2.1", port); err == nil {
		l.Close()
		t.Error("an address that is not here was not refused")
	}
}

func TestBounds(t *testing.T) {
	server, client := meshtest.TLS(t)
	host := meshtest.NewHost("a", pebble.InMemory(pebble.Config{}))
	c, err := New(Config{Host: host, Server: server, Client: client, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxCandidates {
		c.Sight(packet.NewID(), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7900), mesh.Protocol)
		c.Sight(packet.NewID(), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 7900), 9)
	}
	for _, wrong := range []string{"0.0.0.0:7900", "224.0.0.1:7900", "10.0.0.1:0", "[::]:1"} {
		c.Sight(packet.NewID(), netip.MustParseAddrPort(wrong), mesh.Protocol)
	}
	if got := c.Counts(); got.Candidates != maxUnbelieved || got.Dropped != 2*maxCandidates-maxUnbelieved || len(c.Unmet()) != maxOthers {
		t.Errorf("%+v and %d others", got, len(c.Unmet()))
	}
	for i := range 2 * maxCandidates { // as other nodes tell of them
		c.sight(packet.NewID(), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), 7900), nil, mesh.ByNode)
	}
	if got := c.Counts(); got.Candidates != maxCandidates {
		t.Errorf("%+v", got)
	}
	for _, wrong := range []Config{
		{Host: host, Join: []string{"10.0.0.1:7900"}},
		{Host: host, Server: server, Client: client, Join: []string{"10.0.0.1"}},
		{Host: host, Server: server, Client: client, Join: []string{":7900"}},
		{Host: host, Server: server},
	} {
		if _, err := New(wrong); err == nil {
			t.Errorf("%+v was not refused", wrong.Join)
		}
	}
}
