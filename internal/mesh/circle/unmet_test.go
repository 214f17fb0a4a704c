package circle

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

func TestReasons(t *testing.T) {
	for want, err := range map[mesh.Reason]error{
		mesh.ConnectionRefused: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		mesh.NoAnswer:          fmt.Errorf("dial: %w", context.DeadlineExceeded),
		mesh.NoRoute:           &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH},
		mesh.UnknownHost:       &net.OpError{Op: "dial", Err: &net.DNSError{Name: "nowhere", IsNotFound: true}},
		mesh.WrongKey:          fmt.Errorf("handshake: %w", key.ErrStranger),
		mesh.NoNode:            fmt.Errorf("handshake: %w", tls.RecordHeaderError{Msg: "no TLS"}),
		mesh.OtherVersion:      &link.ProtocolError{},
		mesh.NameTaken:         sameName("a", packet.NewID()),
		mesh.Failed:            io.ErrUnexpectedEOF,
		ownAddress:             link.ErrSelf,
	} {
		if got := reasonOf(fmt.Errorf("connect to the node: %w", err)); got != want {
			t.Errorf("%v is %s; expected %s", err, got, want)
		}
	}
	for _, r := range mesh.Reasons() {
		if r.Why() == "" && r != mesh.OtherVersion && r != mesh.NameTaken && r != mesh.Failed {
			t.Errorf("nobody is told why: %s", r)
		}
	}
}

// expectUnmet waits until a node lists one of that reason at that address, and gives it.
func expectUnmet(t *testing.T, nd *node, at string, reason mesh.Reason) (found mesh.Outsider) {
	t.Helper()
	testenv.Eventually(tell{t, func() string { return fmt.Sprintf("lists %+v\n%s", nd.Unmet(), nd.log) }}, 30*time.Second, fmt.Sprintf("%s at %s is listed", reason, at), func() bool {
		for _, o := range nd.Unmet() {
			if o.At == at && o.Reason == reason {
				found = o
				return true
			}
		}
		return false
	})
	return found
}

// TestJoinInVain has addresses to join that lead to nobody, each for another reason.
func TestJoinInVain(t *testing.T) {
	n := newNetwork(t)
	other := newNetwork(t) // of another key
	stranger := other.start("s", overTCP)
	silent := listen0(t, func(net.Conn) {})
	clerk := listen0(t, func(conn net.Conn) {
		io.WriteString(conn, "SSH-2.0-OpenSSH\r\n")
		conn.Close()
	})
	const closed = "127.0.0.1:1"
	a := n.start("a", overTCP, closed, silent, clerk, stranger.addr.String())
	for at, reason := range map[string]mesh.Reason{closed: mesh.ConnectionRefused, silent: mesh.NoAnswer, clerk: mesh.NoNode} {
		o := expectUnmet(t, a, "tcp://"+at, reason)
		if o.By != mesh.ByJoin || o.Why != reason.Why() || o.Next == "" || o.Since.IsZero() {
			t.Errorf("%+v", o)
		}
	}
	testenv.Eventually(t, 10*time.Second, "the node of another key is listed", func() bool { return len(a.Unmet()) == 4 })
	// Each is told once, though they are tried again and again.
	testenv.Eventually(t, 30*time.Second, "they were tried again", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		f := a.candidates["join "+closed].failed
		return time.Since(f.began) > 2*time.Second
	})
	if got := strings.Count(a.log.String(), "cannot join yet"); got != 4 {
		t.Errorf("it is told %d times; expected 4:\n%s", got, a.log)
	}
}

// listen0 serves connections on a port of its own, and gives its address.
func listen0(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				t.Cleanup(func() { conn.Close() })
				go serve(conn)
			}
		}
	}()
	return l.Addr().String()
}

// TestSeenInVain has nodes that only a beacon, or another node, tells of: they are listed while
// there are signs of them, and no longer.
func TestSeenInVain(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	boot, at := packet.NewID(), netip.MustParseAddrPort("127.0.0.1:1")
	a.Sight(boot, at, mesh.Protocol)
	o := expectUnmet(t, a, "tcp://127.0.0.1:1", mesh.ConnectionRefused)
	if o.By != mesh.ByBeacon || o.Boot != boot || o.Node != "" {
		t.Errorf("%+v", o)
	}
	a.mu.Lock()
	cand := a.candidates["tcp://127.0.0.1:1"]
	now := cand.heard
	for _, c := range []struct {
		name   string
		change func(*candidate)
		after  time.Duration
		want   bool
	}{
		{"soon", func(*candidate) {}, shownBeacon / 2, true},
		{"no beacon comes any more", func(*candidate) {}, 2 * shownBeacon, false},
		{"nodes tell of it", func(c *candidate) { c.unbelieved = nil }, 2 * shownBeacon, true},
		{"no node tells of it any more", func(c *candidate) { c.unbelieved = nil }, 2 * shown, false},
		{"it was met and has ended", func(c *candidate) { c.met, c.failed.began = true, now }, 0, false},
		{"it was met, and says that it is there", func(c *candidate) { c.met, c.failed.began = true, now.Add(-2*afterwards) }, 0, true},
		{"it has reached this node, and has ended", func(c *candidate) { c.by = mesh.ByItself }, 0, false},
		{"somebody wants it met", func(c *candidate) { c.kind, c.met, c.failed.began = join, true, now }, 2 * shown, true},
		{"it is this node itself", func(c *candidate) { c.failed.reason = ownAddress }, 0, false},
		{"it was not tried", func(c *candidate) { c.failed = failure{} }, 0, false},
	} {
		other := *cand
		c.change(&other)
		if _, got := other.unmet(now.Add(c.after)); got != c.want {
			t.Errorf("%s: listed %v; expected %v", c.name, got, c.want)
		}
	}
	a.mu.Unlock()
	testenv.Eventually(tell{t, a.log.String}, 30*time.Second, "the log tells of it", func() bool {
		a.Sight(boot, at, mesh.Protocol) // as its beacons do
		return strings.Contains(a.log.String(), "a node is not reached")
	})
}

// TestOneWay has a node that reaches another and cannot be reached. Both say so.
func TestOneWay(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a", overTCP)
	b := n.start("b", overTCP)
	b.me.Port = 1 // nobody listens there
	b.Sight(a.me.Boot, a.addr, mesh.Protocol)
	n.expect(b, 5*time.Second, "a tcp")
	o := expectUnmet(t, a, "tcp://127.0.0.1:1", mesh.OneWay)
	if o.Node != "b" || !strings.HasPrefix(o.Why, "it reaches this node") || !strings.Contains(o.Next, "TCP port 1") {
		t.Errorf("%+v", o)
	}
	o = expectUnmet(t, b, "tcp://"+a.addr.String(), mesh.OneWay)
	if o.Node != "a" || o.Why != mesh.OneWay.Why() || !strings.Contains(o.Next, "--advertise") {
		t.Errorf("%+v", o)
	}
	for _, nd := range []*node{a, b} {
		testenv.Eventually(tell{t, nd.log.String}, 30*time.Second, "the log tells of it", func() bool { return strings.Contains(nd.log.String(), "a node is not reached") })
	}
	b.stop()
	testenv.Eventually(t, 10*time.Second, "one that has ended is not listed", func() bool { return len(a.Unmet()) == 0 })
}

// TestAdvertise has a node that nobody reaches where it is seen, and that says where: by its
// beacon, to the node that it reaches, and by that node to others.
func TestAdvertise(t *testing.T) {
	n := newNetwork(t)
	n.tells = func(netip.AddrPort) uint16 { return 1 } // nobody listens there
	a := n.start("a", overTCP)
	cable := meshtest.NewCable(t, "tcp", a.addr.String())
	_, port, err := net.SplitHostPort(cable.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a.me.Advertise = []string{"127.0.0.1:2", net.JoinHostPort("localhost", port)} // before anybody asked
	n.tells = nil
	b, c := n.start("b", overTCP), n.start("c", overTCP)
	d := n.start("d", overTCP, b.addr.String())
	a.Sight(b.me.Boot, b.addr, mesh.Protocol)
	n.expect(b, 20*time.Second, "a tcp, d tcp") // a has reached b
	n.expect(d, 20*time.Second, "a tcp, b tcp") // b told of a
	c.Sight(a.me.Boot, netip.MustParseAddrPort("127.0.0.1:1"), mesh.Protocol, a.me.Advertise...)
	testenv.Eventually(t, 20*time.Second, "c has met a by its beacon", func() bool { return strings.Contains(c.names(), "a tcp") })
	for _, nd := range []*node{b, c, d} {
		for _, o := range nd.Unmet() {
			if o.Node == "a" || o.At == "tcp://127.0.0.1:2" {
				t.Errorf("%s lists a, which it has met: %+v", nd.me.Node, o)
			}
		}
	}
	if _, err := New(Config{Host: a.host, Server: n.server, Client: n.client, Advertise: []string{"nowhere"}}); err == nil {
		t.Error("an address that is none was not refused")
	}
}

// TestNotices has many nodes that are not reached: each is told once, and of those that only
// beacons tell of no more than some.
func TestNotices(t *testing.T) {
	told, now := notices{}, time.Now()
	row := func(i int, by mesh.Source, reason mesh.Reason) mesh.Outsider {
		return mesh.Outsider{Boot: packet.NewID(), At: fmt.Sprint("tcp://10.0.0.1:", i), By: by, Reason: reason, Since: now.Add(-2 * clash)}
	}
	one := []mesh.Outsider{row(1, mesh.ByNode, mesh.NoAnswer), row(2, mesh.ByJoin, mesh.NoAnswer), row(3, mesh.ByNode, mesh.NameTaken)}
	if got := told.of(one, now); len(got) != 1 || got[0].At != one[0].At {
		t.Errorf("told of %+v", got)
	}
	if got := told.of(one, now.Add(remembered/2)); len(got) != 0 {
		t.Errorf("told again of %+v", got)
	}
	one[0].Reason = mesh.ConnectionRefused
	if got := told.of(one, now); len(got) != 1 {
		t.Errorf("another reason: told of %+v", got)
	}
	one[0].Since = now
	one[0].Reason = mesh.NoRoute
	if got := told.of(one, now); len(got) != 0 {
		t.Errorf("one that is not reached for a moment: told of %+v", got)
	}
	count := 0
	for i := range 10 * maxTold {
		count += len(told.of([]mesh.Outsider{row(i, mesh.ByBeacon, mesh.NoAnswer)}, now))
	}
	if count != maxTold {
		t.Errorf("told of %d that beacons tell of; expected %d", count, maxTold)
	}
	for i := range 2 * maxOthers {
		told.of([]mesh.Outsider{row(i, mesh.ByNode, mesh.NoAnswer)}, now)
	}
	if len(told) != maxOthers {
		t.Errorf("%d are remembered; expected %d", len(told), maxOthers)
	}
	told.of(nil, now.Add(2*remembered))
	if len(told) != 0 {
		t.Errorf("%d are remembered for ever", len(told))
	}
}
