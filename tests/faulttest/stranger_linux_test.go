package faulttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh/beacon"
	"github.com/recap/pumpkin/internal/mesh/circle"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

// slowConns is how many connections say little, slowly: more than a node has
// room for.
const slowConns = 150

// TestLANStrangers has a host without the key do what it can think of, while nodes
// work: they go on, nodes that start meanwhile are met, and whoever looks at the
// wire learns nothing of what they do.
func TestLANStrangers(t *testing.T) {
	r := newTeam(t, "strangers", company()...)
	wire := r.listen()
	r.start(r.members...)
	r.together(r.members...)
	count := r.witness()
	s := newStranger(r)
	end := r.load()
	rounds := 2 * factor(t)
	var calm, troubled time.Duration
	for range rounds {
		calm += r.pace()
		stop := s.begin(wire.beacons())
		troubled += r.pace()
		m := r.some(1)[0]
		m.kill()
		r.start(m)
		r.heal(r.members...)
		stop()
	}
	end()
	counts := count()
	if counts.Garbage == 0 || counts.Oversize == 0 || counts.Strangers == 0 || counts.Replays == 0 || counts.Heard == 0 {
		t.Errorf("of what the stranger sent, a node counts %+v; expected some of each kind", counts)
	}
	s.learnt()
	wire.check()
	for _, m := range r.members {
		if known, err := m.knows(); err != nil || slices.Contains(known, s.node.name) {
			t.Errorf("%s knows %q, among them the node with another key: %v", m.title, known, err)
		}
	}
	r.finish(rounds, fmt.Sprintf("%d packets take %s, beside strangers %s", rounds*pacePackets*len(r.feeds()), short(calm), short(troubled)))
	if troubled > 5*calm+10*time.Second {
		t.Errorf("beside strangers the same packets take %v, and %v without", troubled, calm)
	}
}

// pacePackets is how many packets are sent to each node to see its pace.
const pacePackets = 2 * teamQuota

// pace is how long a round's packets take.
func (r *team) pace() time.Duration {
	r.t.Helper()
	begun := time.Now()
	r.allow(pacePackets)
	r.spend()
	if !r.drain() {
		r.tellWaiting()
		r.t.Fatalf("for %v nothing arrives, and packets are missing", patience)
	}
	return time.Since(begun)
}

// witness runs a node's ear on a host of its own, and gives what it counts.
func (r *team) witness() func() beacon.Counts {
	host := r.lan.Host(lan.Left)
	k, err := key.Read(r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	b := beacon.New(beacon.Config{Seal: k.Group(r.group), Boot: packet.NewID(), TCP: 1, Sighted: func(beacon.Sighting) {}})
	r.t.Cleanup(beside(host, r.t.Errorf, b.Run))
	testenv.Eventually(r.t, meetTime, "the other nodes are heard", func() bool { return b.Counts().Heard >= int64(len(r.members)) })
	return b.Counts
}

// beside runs what on the host until the function is called that it returns.
func beside(host *lan.Host, failed func(string, ...any), what func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := host.Do(func() error { return what(ctx) }); err != nil && ctx.Err() == nil {
			failed("beside the nodes: %v", err)
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

// A wire is what somebody sees who sees every frame.
type wire struct {
	team *team
	end  func()

	mu      sync.Mutex
	frames  int
	bytes   int64
	shown   map[string]int // what is to be hidden, and was seen
	sealed  [][]byte       // beacons, the first of them
	secrets []string
}

// listen looks at the wire until the test's end.
func (r *team) listen() *wire {
	w := &wire{team: r, shown: map[string]int{}}
	// They are long enough not to come about in what is encrypted.
	w.secrets = []string{"String:", "carry", `"pass"`, `"note"`, `"contract"`, `"seeds"`, `"node"`}
	w.end = r.lan.Watch(w.saw)
	return w
}

// maxSealed is how many beacons are kept.
const maxSealed = 64

func (w *wire) saw(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames++
	w.bytes += int64(len(frame))
	if at := bytes.Index(frame, []byte("PMKB")); at >= 0 && len(w.sealed) < maxSealed {
		w.sealed = append(w.sealed, bytes.Clone(frame[at:]))
	}
	for _, text := range w.secrets {
		if bytes.Contains(frame, []byte(text)) {
			w.shown[text]++
		}
	}
}

// beacons are some that were seen.
func (w *wire) beacons() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sealed)
}

// check fails the test if the wire has shown what nodes do.
func (w *wire) check() {
	w.end()
	if w.frames == 0 || w.bytes < 100_000 || len(w.sealed) == 0 {
		w.team.t.Errorf("the wire was not seen: %d frames with %d bytes, %d beacons", w.frames, w.bytes, len(w.sealed))
	}
	for text, times := range w.shown {
		w.team.t.Errorf("%d frames show %q to who has no key", times, text)
	}
}

// A stranger is a host without the key of the team.
type stranger struct {
	team *team
	host *lan.Host
	to   []string // the nodes' TCP ports
	node *member  // a node with another key
	door net.Listener

	mu    sync.Mutex
	heard bytes.Buffer // over TCP, from nodes that it has lured here
}

// maxHeard bounds what is kept of what a stranger is told.
const maxHeard = 1 << 20

func newStranger(r *team) *stranger {
	s := &stranger{team: r, host: r.lan.Host(lan.Right)}
	for _, m := range r.members {
		s.to = append(s.to, netip.AddrPortFrom(m.host.Addr, circle.Port).String())
	}
	// It has the same group, and the same seeds as all of them.
	other := newMember(r, "stranger", role{half: lan.Right, seeds: 3}, r.keyFile("other.key", key.New()))
	other.sink = filepath.Join(other.dir, "sink")
	s.node = other
	r.start(other)
	err := s.host.Do(func() (err error) {
		s.door, err = net.Listen("tcp4", netip.AddrPortFrom(s.host.Addr, circle.Port).String())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// begin has the stranger do everything at once, until the function is called that
// it returns.
func (s *stranger) begin(old [][]byte) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	run := func(what func(context.Context) error) {
		all.Go(func() {
			if err := what(ctx); err != nil && ctx.Err() == nil {
				s.team.t.Errorf("the stranger: %v", err)
			}
		})
	}
	run(func(ctx context.Context) error { return s.shout(ctx, old) })
	run(s.babble)
	run(s.welcome)
	for i := range slowConns {
		run(func(ctx context.Context) error { return s.dawdle(ctx, s.to[i%len(s.to)]) })
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// often calls what many times a second.
func often(ctx context.Context, every time.Duration, what func(round int) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := what(i); err != nil {
			return err
		}
	}
}

// shout broadcasts garbage, datagrams that are too long, beacons sealed with
// another key, and old beacons, also such that were changed.
func (s *stranger) shout(ctx context.Context, old [][]byte) error {
	var conn *net.UDPConn
	err := s.host.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", nil)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close() // what it sent is gone
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(lan.Broadcast), beacon.Port))
	forger := key.New().Group(s.team.group)
	return often(ctx, 5*time.Millisecond, func(i int) error {
		data := slices.Clone(old[i%len(old)])
		switch i % 5 {
		case 0:
			data = make([]byte, 1+i%500)
			rand.Read(data)
		case 1:
			data = make([]byte, 1400)
			copy(data, "PMKB")
		case 2:
			body := data[:len(data)-key.MACSize]
			mac := forger.MAC(body)
			data = append(body, mac[:]...)
		case 3:
			data[len(data)-17] ^= 1 // another port
		}
		_, err := conn.WriteTo(data, to)
		return err
	})
}

// babble connects to the nodes' ports and says what is no handshake, or begins
// one with a certificate of another network, or with none.
func (s *stranger) babble(ctx context.Context) error {
	foreign, err := key.New().Group(s.team.group).TLS("stranger")
	if err != nil {
		return err
	}
	foreign.Client.InsecureSkipVerify = true // it wants in, whoever is there
	none := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	return often(ctx, 10*time.Millisecond, func(i int) error {
		conn, err := s.dial(s.to[i%len(s.to)])
		if err != nil {
			return nil // that node is just away
		}
		defer conn.Close() // nothing of it matters any more
		conn.SetDeadline(time.Now().Add(time.Second))
		switch i % 4 {
		case 0:
			garbage := make([]byte, 4096)
			rand.Read(garbage)
			conn.Write(garbage) // it may be closed already
		case 1:
			fmt.Fprintf(conn, "GET /api/v1/status HTTP/1.1\r\nHost: node\r\n\r\n")
		default:
			cfg := foreign.Client
			if i%4 == 2 {
				cfg = none
			}
			s.tell(ask(tls.Client(conn, cfg)))
			return nil
		}
		answer, _ := io.ReadAll(io.LimitReader(conn, maxHeard)) // the node closes it
		s.tell(answer)
		return nil
	})
}

// ask asks over TLS for what a node does, and gives its answer. That the server
// does not want this client only shows when it has asked.
func ask(conn *tls.Conn) []byte {
	if conn.Handshake() != nil {
		return nil
	}
	// HTTP/2, with nothing but its beginning.
	fmt.Fprint(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	answer, _ := io.ReadAll(io.LimitReader(conn, maxHeard)) // it ends with an alert
	return answer
}

// dial connects to a node.
func (s *stranger) dial(to string) (conn net.Conn, err error) {
	err = s.host.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp4", to, time.Second)
		return err
	})
	return conn, err
}

// tell notes what a node has said.
func (s *stranger) tell(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.Write(text[:min(len(text), maxHeard-s.heard.Len())])
}

// dawdle keeps a connection that says a byte of a handshake now and then.
func (s *stranger) dawdle(ctx context.Context, to string) error {
	hello := []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	return often(ctx, 200*time.Millisecond, func(i int) error {
		if conn == nil {
			var err error
			if conn, err = s.dial(to); err != nil {
				conn = nil
				return nil // that node is just away
			}
		}
		if _, err := conn.Write(hello[i%len(hello):][:1]); err != nil {
			conn.Close()
			conn = nil
		}
		return nil
	})
}

// welcome takes whoever connects to the stranger because of an old beacon, and
// notes what they say.
func (s *stranger) welcome(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { s.door.(*net.TCPListener).SetDeadline(time.Now()) })()
	for {
		conn, err := s.door.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return s.door.(*net.TCPListener).SetDeadline(time.Time{})
		}
		if err != nil {
			return err
		}
		conn.SetDeadline(time.Now().Add(time.Second))
		said, _ := io.ReadAll(io.LimitReader(conn, maxHeard)) // until they give up
		s.tell(said)
		conn.Close()
	}
}

// learnt fails the test if the stranger was told anything, or its node has met
// another.
func (s *stranger) learnt() {
	t := s.team.t
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.team.members {
		if m != s.node && strings.Contains(s.heard.String(), m.name) {
			t.Errorf("the stranger was told the name of %s", m.title)
		}
	}
	for _, text := range []string{"String:", "carry", "pass", "note", `"node"`, "HTTP/1"} {
		if strings.Contains(s.heard.String(), text) {
			t.Errorf("the stranger was told %q", text)
		}
	}
	if known, err := s.node.knows(); err != nil || !slices.Equal(known, []string{s.node.name}) {
		t.Errorf("a node with another key knows %q; expected itself alone: %v", known, err)
	}
	for line := range strings.Lines(s.node.said()) {
		if strings.Contains(line, "connected to node") || strings.Contains(line, "discovered") && !strings.Contains(line, s.node.host.Addr.String()) {
			t.Errorf("a node with another key says: %s", line)
		}
	}
	if got := newArrivals(t, s.node.sink); got.read(t) > 0 {
		t.Error("packets have come to a node with another key")
	}
}
