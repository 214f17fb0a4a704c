package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// wire has a peer reach e by way of a cable.
func wire(t *testing.T, e *end) (*meshtest.Cable, *Peer) {
	t.Helper()
	cable := meshtest.NewCable(t, e.addr.Network(), e.addr.String())
	conn, err := net.Dial("tcp", cable.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return cable, e.meet(conn, Client{})
}

// hold has the peer lease three frames, and a pull that waits.
func hold(t *testing.T, e *end, p *Peer) (leases []store.Lease, waits *errgroup.Group) {
	t.Helper()
	e.put("a", "b", "c")
	leases, err := p.Store().Pull(t.Context(), inbox, 3)
	if err != nil || len(leases) != 3 {
		t.Fatalf("%v, %v", leases, err)
	}
	waits = &errgroup.Group{}
	waits.Go(func() error {
		_, err := p.Store().Pull(t.Context(), "in.other", 1)
		if !errors.Is(err, mesh.ErrGone) {
			return fmt.Errorf("a pull that waits ended with %v; expected ErrGone", err)
		}
		return nil
	})
	return leases, waits
}

// gone expects that both sides miss the other within that time.
func gone(t *testing.T, e *end, p *Peer, leases []store.Lease, waits *errgroup.Group, within time.Duration) {
	t.Helper()
	begin := time.Now()
	var here, there time.Duration
	testenv.Eventually(t, within, "both sides miss the other", func() bool {
		if here == 0 && p.ctx.Err() != nil {
			here = time.Since(begin)
		}
		if there == 0 && e.server.Sessions() == 0 {
			there = time.Since(begin)
		}
		return here > 0 && there > 0
	})
	t.Logf("missed by the puller after %v, by the owner after %v", here, there)
	if err := waits.Wait(); err != nil {
		t.Error(err)
	}
	for i, l := range leases {
		if !l.(mesh.Lapsing).Lapsed() {
			t.Errorf("lease %d is taken for sure although its owner is gone", i)
		}
	}
	if err := errors.Join(leases[0].Ack(), leases[1].Release(0)); err != nil {
		t.Errorf("verdicts after the end: %v; expected that they are kept", err)
	}
	if err := p.Store().Append(t.Context(), inbox, store.Frame{Data: []byte("x"), Packets: 1}); !errors.Is(err, mesh.ErrGone) {
		t.Errorf("append: %v; expected ErrGone", err)
	}
	if _, err := p.Store().Pull(t.Context(), inbox, 1); !errors.Is(err, mesh.ErrGone) {
		t.Errorf("pull: %v; expected ErrGone", err)
	}
	if _, err := (&http.Client{Transport: p}).Get("http://x/api/"); !errors.Is(err, mesh.ErrGone) {
		t.Errorf("the API: %v; expected ErrGone", err)
	}
	if n := e.frames(); n != 3 {
		t.Errorf("%d frames are in the store; expected all 3", n)
	}
}

func TestDeath(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		e := serve(t, network, nil)
		cable, p := wire(t, e)
		leases, waits := hold(t, e, p)
		cable.Break()
		gone(t, e, p, leases, waits, 10*time.Second)
		if errors.Is(context.Cause(p.ctx), errQuiet) {
			t.Error("that the connection was closed was not noticed")
		}
	})
}

func TestCutCable(t *testing.T) {
	t.Parallel()
	e := serve(t, "tcp", nil)
	cable, p := wire(t, e)
	leases, waits := hold(t, e, p)
	cable.Cut()
	gone(t, e, p, leases, waits, 8*time.Second)
}

// TestStill has a node that answers pings and says nothing more.
func TestStill(t *testing.T) {
	t.Parallel()
	me := Hello{Protocol: mesh.Protocol, Node: "still", Boot: packet.NewID()}
	still := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		for _, l := range []line{{Hello: &me, Session: packet.NewID()}, {Card: &mesh.Card{Node: me.Node, Boot: me.Boot}}} {
			json.NewEncoder(w).Encode(l)
		}
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	p, err := still(Client{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := p.Run(t.Context()); !errors.Is(err, errQuiet) {
		t.Errorf("%v; expected that nothing was heard", err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
}

// httpServer answers as a node that a test makes up, and gives what dials it.
func httpServer(t *testing.T, answer http.HandlerFunc) func(Client) (*Peer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answer, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	var g errgroup.Group
	g.Go(func() error { return server.Serve(l) })
	t.Cleanup(func() { server.Close(); g.Wait() })
	return func(cfg Client) (*Peer, error) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		cfg.Hello = Hello{Protocol: mesh.Protocol, Node: "a", Boot: packet.NewID()}
		return Dial(t.Context(), conn, cfg)
	}
}

// TestWrongAnswers has nodes that do not keep to the protocol.
func TestWrongAnswers(t *testing.T) {
	boot, session := packet.NewID(), packet.NewID()
	hello := fmt.Sprintf(`{"hello":{"protocol":2,"node":"b","boot":"%s"},"session":"%s"}`, boot, session) + "\n"
	card := func(node, seed string) string {
		return fmt.Sprintf(`{"card":{"node":%q,"boot":"%s","seeds":[{"manifest":{"name":%q}}]}}`, node, boot, seed) + "\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "has ended"},
		{"no JSON", "hello\n", "line of the watch"},
		{"no hello", "{}\n", "hello"},
		{"a hello without a session", strings.Replace(hello, `"session"`, `"x"`, 1), "hello"},
		{"a node's name that is none", strings.Replace(hello, `"b"`, `"../b"`, 1), "'.'"},
		{"another protocol", strings.Replace(hello, `2,`, `3,`, 1), "protocol 3"},
		{"no card", hello + "{}\n", "card"},
		{"the card of another", hello + card("c", "greet"), "another"},
		{"a seed's name that is none", hello + card("b", "in..x"), "seed's name"},
		{"a line that is too long", hello + `{"card":"` + strings.Repeat("x", maxLine) + "\"}\n", "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial := httpServer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.text) })
			p, err := dial(Client{})
			if err == nil {
				p.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; expected an error with %q", err, c.want)
			}
		})
	}
}

// TestLargeCard has a card of a thousand seeds.
func TestLargeCard(t *testing.T) {
	e := serve(t, "tcp", nil)
	for i := range 1000 {
		e.host.AddSeed(fmt.Sprintf("seed%d", i))
	}
	changed := make(chan struct{}, 1)
	p := e.meet(nil, Client{Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	if n := len(p.Card().Seeds); n != 1000 {
		t.Fatalf("%d seeds", n)
	}
	begin := time.Now()
	e.host.AddSeed("last")
	<-changed
	if n := len(p.Card().Seeds); n != 1001 {
		t.Errorf("%d seeds after the change", n)
	}
	t.Logf("known after %v", time.Since(begin))
	e.host.SetCard(func(c *mesh.Card) { c.Leaving = true })
	<-changed
	if !p.Card().Leaving {
		t.Error("that it leaves is not known")
	}
	select {
	case <-p.Gone():
		t.Error("a node that leaves is gone before it has ended")
	default:
	}
}

// TestGarbage sends what is no TLS, and TLS without a certificate.
func TestGarbage(t *testing.T) {
	e := serve(t, "tcp", nil)
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("\x16\x03\x01\xff\xff", 1<<16)} {
		conn, err := net.Dial("tcp", e.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(text)) // it may be cut off
		conn.SetReadDeadline(time.Now().Add(2 * handshakeTime))
		if got, err := io.ReadAll(conn); errors.Is(err, context.DeadlineExceeded) || bytes.Contains(got, []byte("owner")) {
			t.Errorf("answered %q, %v", got, err)
		}
		conn.Close()
	}
	stranger := e.secure.Clone()
	stranger.Certificates = nil
	_, other := meshtest.TLS(t)
	other.RootCAs = e.secure.RootCAs
	h1 := e.secure.Clone()
	h1.NextProtos = []string{"http/1.1"}
	for _, secure := range []*tls.Config{stranger, other, h1} {
		conn, err := tls.Dial("tcp", e.addr.String(), secure)
		if err == nil {
			// In TLS 1.3 the refusal comes after the client's side is done.
			conn.SetDeadline(time.Now().Add(2 * handshakeTime))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Error("a stranger was let in")
		}
	}
	testenv.Eventually(t, 5*time.Second, "all are counted", func() bool { return e.gate.Counts().Failed == 6 })
	e.meet(nil, Client{})
	if c := e.gate.Counts(); c.Passed != 1 {
		t.Errorf("%+v", c)
	}
}

// TestSlowLoris fills the port with connections that say nothing.
func TestSlowLoris(t *testing.T) {
	e := serve(t, "tcp", nil)
	begin := time.Now()
	for range 3 * maxStrangers {
		conn, err := net.Dial("tcp", e.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte{0x16})
	}
	e.meet(nil, Client{})
	if took := time.Since(begin); took > handshakeTime {
		t.Errorf("an honest node had to wait %v, until strangers had run out of time", took)
	}
	testenv.Eventually(t, 10*time.Second, "the oldest are gone", func() bool { return e.gate.Counts().Displaced >= 2*maxStrangers })
	testenv.Eventually(t, 4*handshakeTime, "the others ran out of time", func() bool { return e.gate.Counts().Displaced == 3*maxStrangers })
}

// TestWrongRequests asks what is not in order.
func TestWrongRequests(t *testing.T) {
	e := serve(t, "tcp", nil)
	p := e.meet(nil, Client{})
	ask := func(method, path string, query url.Values, body io.Reader, size int64, change func(*http.Request)) *http.Response {
		t.Helper()
		req := p.request(t.Context(), method, path, query)
		if body != nil {
			req.Body, req.ContentLength = io.NopCloser(body), size
		}
		if change != nil {
			change(req)
		}
		resp, err := p.conn.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	sum := strings.Repeat("0", 64)
	good := url.Values{"place": {"in.greet"}, "packets": {"1"}, "rank": {"root"}}
	with := func(key, value string) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q.Set(key, value)
		return q
	}
	x := func() io.Reader { return strings.NewReader("x") }
	for _, c := range []struct {
		method, path string
		query        url.Values
		body         io.Reader
		size         int64
		change       func(*http.Request)
		want         int
	}{
		{"POST", "append", good, x(), 1, func(r *http.Request) { r.Header.Set(headerSession, packet.NewID().String()) }, 410},
		{"POST", "append", good, x(), 1, func(r *http.Request) { r.Header.Set(headerSession, "x") }, 400},
		{"POST", "frames", nil, x(), -1, func(r *http.Request) { r.Header.Set(headerSession, packet.NewID().String()) }, 410},
		{"GET", "watch", nil, nil, 0, func(r *http.Request) { r.Header.Set(headerHello, "x") }, 400},
		{"GET", "watch", nil, nil, 0, func(r *http.Request) { r.Header.Set(headerHello, strings.Replace(p.me, ":2", ":3", 1)) }, 426},
		{"GET", "else", nil, nil, 0, nil, 400},
		{"POST", "append", good, bytes.NewReader(make([]byte, store.MaxFrame+1)), store.MaxFrame + 1, nil, 400},
		{"POST", "append", good, x(), -1, nil, 400},
		{"POST", "append", with("place", "../x"), x(), 1, nil, 400},
		{"POST", "append", with("packets", "257"), x(), 1, nil, 400},
		{"POST", "append", with("rank", "king"), x(), 1, nil, 400},
		{"GET", "blobs/abc", url.Values{"size": {"1"}}, nil, 0, nil, 400},
		{"GET", "blobs/" + sum, url.Values{"size": {"-1"}}, nil, 0, nil, 400},
		{"PUT", "blobs/" + sum, url.Values{"size": {"2"}}, x(), 1, nil, 400},
	} {
		if resp := ask(c.method, current+c.path, c.query, c.body, c.size, c.change); resp.StatusCode != c.want {
			t.Errorf("%s %s %.60v: %s; expected %d", c.method, c.path, c.query, resp.Status, c.want)
		}
	}
	if resp := ask("GET", "/mesh/v9/watch", nil, nil, 0, nil); resp.StatusCode != 426 {
		t.Errorf("another version: %s", resp.Status)
	}
	if resp := ask("GET", "/else", nil, nil, 0, nil); resp.StatusCode != 404 {
		t.Errorf("what is not there: %s", resp.Status)
	}
	long := p.request(t.Context(), "GET", current+"watch", url.Values{"x": {strings.Repeat("x", 2*maxHead)}})
	if resp, err := p.conn.RoundTrip(long); err == nil {
		resp.Body.Close()
		if resp.StatusCode/100 == 2 {
			t.Error("a head that is too long was taken")
		}
	}
	if n := e.frames(); n != 0 {
		t.Errorf("%d frames were stored", n)
	}
}

// TestWrongMessages sends what is not in order over a stream of frames: the
// session ends.
func TestWrongMessages(t *testing.T) {
	for name, text := range map[string][]byte{
		"an unknown kind":  {9},
		"a torn message":   {msgAck, 0},
		"a place's length": append(binary.BigEndian.AppendUint64([]byte{msgPull}, 1), 0, 1, 255, 'x'),
		"a negative delay": binary.BigEndian.AppendUint64(append(binary.BigEndian.AppendUint64([]byte{msgRelease}, 1), 0, 0), 1<<63),
		"too many pulls": func() (b []byte) {
			for i := range maxPulls + 1 {
				b = appendMessage(b, message{kind: msgPull, pull: uint64(i), most: 1, place: inbox})
			}
			return b
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, "unix", nil)
			p := e.meet(nil, Client{})
			r, w := io.Pipe()
			req := p.request(t.Context(), http.MethodPost, current+"frames", nil)
			req.Body, req.ContentLength = r, -1
			resp, err := p.conn.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			w.Write(text)
			w.Close()
			select {
			case <-p.Gone():
			case <-time.After(30 * time.Second):
				t.Error("the session goes on")
			}
		})
	}
}

// TestWrongPulls has pulls that are refused each by itself.
func TestWrongPulls(t *testing.T) {
	e := serve(t, "unix", nil)
	p := e.meet(nil, Client{})
	w := &waiting{most: 1, answer: make(chan arrival, 1)}
	for _, m := range []message{{place: "x", most: 1}, {place: inbox}, {place: inbox, most: maxMost + 1}} {
		if _, err := p.pull.ask(t.Context(), inbox, w); err != nil {
			t.Fatal(err)
		}
		p.pull.mu.Lock()
		m.kind, m.pull = msgPull, 1<<40+uint64(m.most)
		p.pull.open[m.pull] = w
		p.pull.send(m)
		p.pull.mu.Unlock()
		if a := <-w.answer; a.failed == nil {
			t.Errorf("pull of %d from %q was not refused", m.most, m.place)
		}
	}
}

// TestNothingStays looks for goroutines that outlive their nodes.
func TestNothingStays(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("a day", func(t *testing.T) {
		each(t, func(t *testing.T, network string) {
			e := serve(t, network, nil)
			for i := range 5 {
				p := e.meet(nil, Client{Hello: Hello{Protocol: mesh.Protocol, Node: fmt.Sprintf("n%d", i), Boot: packet.NewID()}})
				ctx, cancel := context.WithCancel(t.Context())
				var g errgroup.Group
				g.Go(func() error {
					p.Store().Pull(ctx, inbox, 1) // it is cancelled
					return nil
				})
				p.Store().Append(t.Context(), inbox, store.Frame{Data: []byte("x"), Packets: 1})
				cancel()
				g.Wait()
			}
		})
	})
	testenv.Eventually(t, 5*time.Second, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// FuzzMessages reads whatever comes.
func FuzzMessages(f *testing.F) {
	f.Add(appendMessage(nil, message{kind: msgPull, pull: 1, most: 3, place: inbox}))
	f.Add(appendMessage(nil, message{kind: msgRelease, pull: 1, index: 3, after: time.Second}))
	f.Add(appendRefs(appendMessage(nil, message{kind: msgResume, pull: 1, most: 1}), []store.Ref{{At: inbox, Number: 7}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bufio.NewReader(bytes.NewReader(text))
		for {
			m, err := readMessage(r)
			if err != nil {
				break
			}
			again, err := readMessage(bufio.NewReader(bytes.NewReader(appendMessage(nil, m))))
			if err != nil || again != m {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
		if frames, err := readRefs(bytes.NewReader(text), 3); err == nil && !bytes.HasPrefix(text, appendRefs(nil, frames)) {
			t.Fatalf("the frames of a resume became %v", frames)
		}
		readArrival(bufio.NewReader(bytes.NewReader(text)), func(uint64) int { return maxMost })
	})
}
