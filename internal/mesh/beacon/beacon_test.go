package beacon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A node is a beacon that runs on loopback, and what it has sighted.
type node struct {
	*Beacon
	boot packet.ID
	mu   sync.Mutex
	seen map[packet.ID][]Sighting
}

func (n *node) sighted(s Sighting) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[s.Boot] = append(n.seen[s.Boot], s)
}

func (n *node) of(boot packet.ID) []Sighting {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen[boot]
}

// start runs a beacon until the test ends.
func start(t *testing.T, port int, seal Seal, tcp uint16) *node {
	t.Helper()
	n := &node{boot: packet.NewID(), seen: map[packet.ID][]Sighting{}}
	n.Beacon = New(Config{Seal: seal, Boot: n.boot, TCP: tcp, Sighted: n.sighted, Port: port, Loopback: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the beacon ended with: %v", err)
		}
	})
	testenv.Eventually(t, 5*time.Second, "it hears itself", func() bool { return n.Counts().Own > 0 })
	return n
}

// freePort is a UDP port that nothing holds.
func freePort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// outsider sends datagrams to a port on loopback.
func outsider(t *testing.T, port int) func(...[]byte) {
	t.Helper()
	conn, err := listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 255, 255}), uint16(port))
	return func(datagrams ...[]byte) {
		t.Helper()
		for _, d := range datagrams {
			if _, err := conn.WriteToUDPAddrPort(d, to); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTwoOfOneHost(t *testing.T) {
	seal, port := key.New().Group("default"), freePort(t)
	a := start(t, port, seal, 7900)
	b := start(t, port, seal, 7901)
	from := time.Now()
	testenv.Eventually(t, 10*time.Second, "they find each other", func() bool { return len(a.of(b.boot)) > 0 && len(b.of(a.boot)) > 0 })
	t.Logf("found each other %v after the second heard itself", time.Since(from).Round(time.Millisecond))
	want := Sighting{Boot: b.boot, Addr: netip.MustParseAddrPort("127.0.0.1:7901"), Protocol: mesh.Protocol}
	if got := a.of(b.boot)[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("sighted %+v; expected %+v", got, want)
	}
	// The first beacons come fast without, and the others one a period.
	const announced = 8
	begin := time.Now()
	for range announced {
		before := len(a.of(b.boot))
		b.Announce()
		testenv.Eventually(t, 10*time.Second, "an announcement is heard", func() bool { return len(a.of(b.boot)) > before })
	}
	if took := time.Since(begin); took > (announced-4)*period {
		t.Errorf("%d announcements were heard after %v", announced, took)
	}
}

func TestOutsiders(t *testing.T) {
	k, port := key.New(), freePort(t)
	seal := k.Group("default")
	a := start(t, port, seal, 7900)
	start(t, port, key.New().Group("default"), 7901)
	start(t, port, k.Group("other"), 7902)
	testenv.Eventually(t, 5*time.Second, "strangers are counted", func() bool { return a.Counts().Strangers >= 2 })

	send := outsider(t, port)
	friend := packet.NewID()
	say := func(major byte, boot packet.ID, number uint64) []byte {
		return encode(message{major: major, boot: boot, number: number, port: 1}, seal)
	}
	send(nil, []byte("hello"), say(mesh.Protocol, friend, 5)[:size-1], []byte("PMKB"))
	testenv.Eventually(t, 5*time.Second, "garbage is counted", func() bool { return a.Counts().Garbage == 4 })
	send(make([]byte, maxSize+1), make([]byte, 60_000))
	testenv.Eventually(t, 5*time.Second, "what is oversize is counted", func() bool { return a.Counts().Oversize == 2 })

	send(say(mesh.Protocol, friend, 5), say(mesh.Protocol, friend, 5), say(mesh.Protocol, friend, 4), say(mesh.Protocol, friend, 6))
	testenv.Eventually(t, 5*time.Second, "a replay is seen", func() bool {
		c := a.Counts()
		return c.Duplicates == 1 && c.Replays == 1 && c.Heard == 2
	})
	newer := packet.NewID()
	send(say(mesh.Protocol+1, newer, 1), say(mesh.Protocol+1, newer, 2), say(mesh.Protocol, friend, 7))
	testenv.Eventually(t, 5*time.Second, "another version is counted", func() bool { return a.Counts().Heard == 3 })
	if got := a.of(newer); a.Counts().Versions != 2 || len(got) != 1 || got[0].Protocol != mesh.Protocol+1 {
		t.Errorf("sighted %+v of another version, %d beacons counted; expected one sighting of two", got, a.Counts().Versions)
	}
	if got := len(a.of(friend)); got != 3 {
		t.Errorf("%d sightings of a friend; expected 3", got)
	}
}

// TestFlood has many datagrams, with and without a right MAC, come before a friend.
func TestFlood(t *testing.T) {
	seal, port := key.New().Group("default"), freePort(t)
	a := start(t, port, seal, 7900)
	send := outsider(t, port)
	wrong := encode(message{major: mesh.Protocol, boot: packet.NewID(), number: 1, port: 1}, key.New().Group("default"))
	sent := a.Counts().Sent
	from := time.Now()
	for range 10_000 {
		send(wrong, []byte("garbage"), encode(message{major: mesh.Protocol, boot: packet.NewID(), number: 1, port: 1}, seal))
	}
	b := start(t, port, seal, 7901)
	testenv.Eventually(t, 5*time.Second, "a friend is found in spite of it", func() bool { return len(a.of(b.boot)) > 0 })
	if got, most := a.Counts().Sent-sent, int64(time.Since(from)/gap)+2; got > most {
		t.Errorf("%d beacons sent meanwhile; expected at most %d", got, most)
	}
	t.Logf("%+v", a.Counts())
}

func TestPortThatIsNotShared(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	port := conn.LocalAddr().(*net.UDPAddr).Port
	err = New(Config{Seal: key.New().Group("default"), Port: port, Sighted: func(Sighting) {}}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--join") || !strings.Contains(err.Error(), "ss -ulpn") {
		t.Errorf("error %v; expected the next step in it", err)
	}
}

// TestTrouble sees that a network that is down is told of once.
func TestTrouble(t *testing.T) {
	var log bytes.Buffer
	b := New(Config{Seal: key.New().Group("default"), TCP: 1, Port: freePort(t), Loopback: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	conn, err := listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { b.send(ctx, conn) })
	testenv.Eventually(t, 5*time.Second, "it is tried again", func() bool { return b.Counts().Failed >= 3 })
	cancel()
	sending.Wait()
	if n := strings.Count(log.String(), "beacons do not reach"); n != 1 {
		t.Errorf("told %d times; expected once:\n%s", n, log.String())
	}
}

func TestBoots(t *testing.T) {
	known := newBoots(2)
	one, two, three := packet.NewID(), packet.NewID(), packet.NewID()
	for i, c := range []struct {
		boot   packet.ID
		number uint64
		want   news
	}{
		{one, 5, newcomer}, {two, 1, newcomer}, {one, 5, duplicate}, {one, 4, replay}, {one, 6, fresh},
		{three, 1, newcomer}, {one, 6, duplicate}, {three, 1, duplicate}, {two, 1, newcomer}, // two was forgotten
	} {
		if got := known.hear(c.boot, c.number); got != c.want {
			t.Errorf("step %d: %v; expected %v", i, got, c.want)
		}
	}
	for range 100 {
		known.hear(packet.NewID(), 1)
	}
	if len(known.by) != 2 || known.order.Len() != 2 {
		t.Errorf("%d boots and %d in order are remembered; expected 2", len(known.by), known.order.Len())
	}
}

// TestStrangers has nodes of another key nearby, and somebody who sends beacons in many names.
func TestStrangers(t *testing.T) {
	seal, port := key.New().Group("default"), freePort(t)
	a := start(t, port, seal, 7900)
	start(t, port, key.New().Group("default"), 7901)
	testenv.Eventually(t, 5*time.Second, "the stranger is known", func() bool {
		all := a.Strangers()
		return len(all) == 1 && all[0].Addr == netip.MustParseAddrPort("127.0.0.1:7901") && !all[0].Since.IsZero()
	})

	var s strangers
	now := time.Now()
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(i))
	}
	count := 0
	hear := func(i int) {
		if s.hear(at(i), now) {
			count++
		}
	}
	hear(1)
	now = now.Add(strangerAge / 2)
	hear(1)
	if count != 0 {
		t.Error("one that was heard for a moment is told")
	}
	for range 3 {
		now = now.Add(strangerAge)
		hear(1)
	}
	if count != 1 {
		t.Errorf("one that stays is told %d times; expected once", count)
	}
	for i := range 1000 {
		hear(i + 2)
	}
	if len(s.list) != maxStrangers || s.list[0].Addr != at(1001-maxStrangers+1) {
		t.Errorf("%d are remembered, from %v on; expected the last %d", len(s.list), s.list[0].Addr, maxStrangers)
	}
	count = 0
	for i := range 1000 {
		hear(i)
		now = now.Add(2 * strangerAge)
		hear(i)
	}
	if s.told != maxTold || count != maxTold-1 {
		t.Errorf("%d more are told, %d in all; expected %d in all", count, s.told, maxTold)
	}
}

func TestBroadcast(t *testing.T) {
	for network, want := range map[string]string{
		"192.168.1.50/24": "192.168.1.255", "10.1.2.3/9": "10.127.255.255", "172.16.5.1/30": "172.16.5.3",
		"10.0.0.1/31": "", "10.0.0.1/32": "", "fe80::1/64": "",
	} {
		got, ok := broadcast(netip.MustParsePrefix(network))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v, %v; expected %q", network, got, ok, want)
		}
	}
}

func TestDatagram(t *testing.T) {
	seal := key.New().Group("default")
	m := message{major: mesh.Protocol, boot: packet.NewID(), number: 1 << 40, port: 7900}
	b := encode(m, seal)
	if len(b) != size || size > 100 {
		t.Errorf("a beacon has %d bytes; expected %d, and at most 100", len(b), size)
	}
	if got, err := decode(b, mesh.Protocol, seal); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("read %+v, %v; expected %+v", got, err, m)
	}
	m.advertise = []string{"203.0.113.7:7900", "node1.example.org:7901", strings.Repeat("a", mesh.MaxAddress-2) + ":1", strings.Repeat("b", mesh.MaxAddress-2) + ":1"}
	b = encode(m, seal)
	if got, err := decode(b, mesh.Protocol, seal); err != nil || !reflect.DeepEqual(got, m) || len(b) > maxSize {
		t.Errorf("read %+v of %d bytes, %v; expected %+v", got, len(b), err, m)
	}
	for _, wrong := range [][]string{{"nowhere"}, {"a\x1b:1"}, {"a:1", ""}, {"a:1", "b:1", "c:1", "d:1", "e:1"}} {
		m.advertise = wrong
		if _, err := decode(encode(m, seal), mesh.Protocol, seal); !errors.Is(err, errGarbage) {
			t.Errorf("%q is read: %v", wrong, err)
		}
	}
	for i := range b {
		wrong := bytes.Clone(b)
		wrong[i] ^= 1
		if _, err := decode(wrong, mesh.Protocol, seal); !errors.Is(err, errStranger) && !errors.Is(err, errGarbage) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	seal := key.New().Group("default")
	whole := encode(message{major: mesh.Protocol, number: 1, port: 1}, seal)
	f.Add(whole)
	f.Add(whole[:head])
	f.Add([]byte(magic))
	f.Add(make([]byte, maxSize+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decode(b, mesh.Protocol, seal); err == nil && m.major == mesh.Protocol && !bytes.Equal(encode(m, seal), b) {
			t.Errorf("%x is read as %+v", b, m)
		}
		// With the right MAC behind it, too, as a node of any version would send it.
		mac := seal.MAC(b)
		if m, err := decode(append(bytes.Clone(b), mac[:]...), mesh.Protocol, seal); err == nil && (m.port == 0 || m.number == 0) {
			t.Errorf("%+v is let through", m)
		}
	})
}
