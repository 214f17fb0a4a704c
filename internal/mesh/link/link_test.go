package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// An end is a node that is reached in a test.
type end struct {
	t      testing.TB
	host   *meshtest.Host
	store  *pebble.Store
	server *Server
	gate   *Gate
	addr   net.Addr
	secure *tls.Config // of who reaches it
	stop   func()
}

// serve starts a node, over TCP with TLS or over a Unix socket.
func serve(t testing.TB, network string, change func(*ServerConfig)) *end {
	t.Helper()
	mem := pebble.InMemory(pebble.Config{Size: 64 << 20})
	t.Cleanup(func() {
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &end{t: t, store: mem, host: meshtest.NewHost("owner", mem), gate: &Gate{}}
	cfg := ServerConfig{Host: e.host, Hello: func() Hello {
		c := e.host.Card()
		return Hello{Protocol: mesh.Protocol, Node: c.Node, Boot: c.Boot}
	}}
	if change != nil {
		change(&cfg)
	}
	e.server = NewServer(cfg)
	address := "127.0.0.1:0"
	var server *tls.Config
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	} else {
		server, e.secure = meshtest.TLS(t)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	e.addr = l.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return e.server.Serve(ctx, l, server, e.gate) })
	e.stop = func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(e.stop)
	return e
}

// dial reaches the node over conn; nil makes one.
func (e *end) dial(ctx context.Context, conn net.Conn, cfg Client) (*Peer, error) {
	e.t.Helper()
	var err error
	if conn == nil {
		conn, err = net.Dial(e.addr.Network(), e.addr.String())
		if err != nil {
			e.t.Fatal(err)
		}
	}
	if cfg.Hello.Node == "" {
		cfg.Hello = Hello{Protocol: mesh.Protocol, Node: "puller", Boot: packet.NewID()}
	}
	cfg.TLS, cfg.At = e.secure, e.addr.Network()+":"+e.addr.String()
	return Dial(ctx, conn, cfg)
}

// meet reaches the node and follows it to the end of the test.
func (e *end) meet(conn net.Conn, cfg Client) *Peer {
	e.t.Helper()
	p, err := e.dial(e.t.Context(), conn, cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return p.Run(ctx) })
	e.t.Cleanup(func() { cancel(); g.Wait() })
	return p
}

const inbox = store.Queue("in.greet")

// append puts a frame into the store.
func (e *end) append(ctx context.Context, to store.Queue, f store.Frame) error {
	return e.store.Commit(ctx, &store.Tx{Append: []store.Append{{To: to, Frame: f}}})
}

// put appends frames with these data.
func (e *end) put(data ...string) {
	e.t.Helper()
	for _, d := range data {
		if err := e.append(e.t.Context(), inbox, store.Frame{Data: []byte(d), Packets: 1}); err != nil {
			e.t.Fatal(err)
		}
	}
}

// frames counts what lies in the store.
func (e *end) frames() int {
	counts, err := e.store.Queues(context.Background())
	if err != nil {
		e.t.Fatal(err)
	}
	n := 0
	for _, c := range counts {
		n += c.Frames
	}
	return n
}

// each runs a test over both ways.
func each(t *testing.T, test func(t *testing.T, network string)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { test(t, network) })
	}
}

func TestPull(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		e := serve(t, network, nil)
		p := e.meet(nil, Client{})
		if card := p.Card(); card.Node != "owner" || card.Boot != e.host.Card().Boot {
			t.Errorf("the card is %+v", card)
		}
		e.put("a", "b", "c", "d")
		leases, err := p.Store().Pull(t.Context(), inbox, 3)
		if err != nil || len(leases) != 3 {
			t.Fatalf("%v, %v; expected 3 leases", leases, err)
		}
		for i, want := range []string{"a", "b", "c"} {
			if l := leases[i]; string(l.Data()) != want || l.Number() != uint64(i+1) || l.Deliveries() != 1 {
				t.Errorf("lease %d: %q, number %d, deliveries %d", i, l.Data(), l.Number(), l.Deliveries())
			}
		}
		if err := errors.Join(leases[0].Ack(), leases[0].Ack(), leases[1].Release(0), leases[2].(mesh.Spoiled).Spoil()); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 5*time.Second, "the verdicts arrive", func() bool { return e.host.Held() == 0 })
		if s := e.host.Spoilt(); len(s) != 1 || s[0] != 3 {
			t.Errorf("spoilt are %v; expected 3", s)
		}
		again, err := p.Store().Pull(t.Context(), inbox, 256)
		if err != nil || len(again) != 2 || string(again[0].Data()) != "b" || again[0].Deliveries() != 2 || string(again[1].Data()) != "d" {
			t.Fatalf("after the release: %v, %v", again, err)
		}
	})
}

func TestPullWaits(t *testing.T) {
	e := serve(t, "tcp", nil)
	p := e.meet(nil, Client{})
	var g errgroup.Group
	for range 50 {
		g.Go(func() error {
			leases, err := p.Store().Pull(t.Context(), inbox, 1)
			if err != nil {
				return err
			}
			return leases[0].Ack()
		})
	}
	for i := range 50 {
		e.put(strings.Repeat("x", i*1000+1))
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 5*time.Second, "all are acknowledged", func() bool { return e.frames() == 0 })
}

// TestCancel cancels pulls at the moment their frames come. Every frame is pulled
// by somebody in the end, and none stays leased.
func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		e := serve(t, network, nil)
		p := e.meet(nil, Client{})
		got := 0
		for i := range 300 {
			ctx, cancel := context.WithCancel(t.Context())
			var g errgroup.Group
			var leases []store.Lease
			g.Go(func() (err error) {
				leases, err = p.Store().Pull(ctx, inbox, 4)
				return err
			})
			g.Go(func() error {
				e.put(fmt.Sprint(i))
				for range i % 7 {
					runtime.Gosched()
				}
				cancel()
				return nil
			})
			if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			for _, l := range leases {
				got++
				if err := l.Ack(); err != nil {
					t.Fatal(err)
				}
			}
		}
		testenv.Eventually(t, 5*time.Second, "nothing is leased", func() bool { return e.host.Held() == 0 })
		for got < 300 {
			leases, err := p.Store().Pull(t.Context(), inbox, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range leases {
				got++
				l.Ack()
			}
		}
		testenv.Eventually(t, 5*time.Second, "the store is empty", func() bool { return e.frames() == 0 })
	})
}

func TestAppendAndErrors(t *testing.T) {
	e := serve(t, "tcp", nil)
	s := e.meet(nil, Client{}).Store()
	ctx := t.Context()
	f := store.Frame{Data: bytes.Repeat([]byte("x"), store.MaxFrame), Packets: 256, Rank: store.Descendant}
	if err := s.Append(ctx, "wait.String.RAW", f); err != nil {
		t.Fatal(err)
	}
	leases, err := e.store.Pull(ctx, "wait.String.RAW", 1)
	if err != nil || !bytes.Equal(leases[0].Data(), f.Data) {
		t.Fatalf("what was appended is not there: %v", err)
	}
	for i := 0; err == nil; i++ {
		if i > 100 {
			t.Fatal("the store does not get full")
		}
		err = s.Append(ctx, inbox, store.Frame{Data: f.Data, Packets: 1})
	}
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("%v; expected ErrFull", err)
	}
	for _, c := range []struct {
		to store.Queue
		f  store.Frame
	}{{"in.", f}, {"x", f}, {"in.../..", f}, {inbox, store.Frame{Packets: 1}}, {inbox, store.Frame{Data: f.Data, Packets: 257}}, {inbox, store.Frame{Data: make([]byte, store.MaxFrame+1), Packets: 1}}} {
		if err := s.Append(ctx, c.to, c.f); err == nil {
			t.Errorf("append of %d bytes to %q was not refused", len(c.f.Data), c.to)
		}
	}
	if _, err := s.Pull(ctx, "x", 1); err == nil {
		t.Error("a pull from a place that is none was not refused")
	}
}

func TestBlobs(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		e := serve(t, network, nil)
		s := e.meet(nil, Client{}).Store()
		ctx := t.Context()
		data := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
		b := packet.Blob{Sum: sha256.Sum256(data), Size: int64(len(data))}
		if err := s.PutBlob(ctx, b, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		r, err := s.OpenBlob(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(packet.Verify(b, r))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		r.Close()
		if err := s.PutBlob(ctx, packet.Blob{Sum: b.Sum, Size: b.Size + 1}, bytes.NewReader(data)); err == nil {
			t.Error("a body that is too short was not refused")
		}
		if err := s.PutBlob(ctx, packet.Blob{Size: b.Size}, bytes.NewReader(data)); !errors.Is(err, packet.ErrDamagedBlob) {
			t.Errorf("wrong data: %v; expected ErrDamagedBlob", err)
		}
		if err := s.PutBlob(ctx, packet.Blob{Size: meshtest.MaxBlob + 1}, bytes.NewReader(make([]byte, meshtest.MaxBlob+1))); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("too much data: %v; expected ErrTooLarge", err)
		}
		if err := s.DropBlob(ctx, b); err != nil {
			t.Fatal(err)
		}
		if _, err := s.OpenBlob(ctx, b); err == nil {
			t.Error("data that was dropped can be read")
		}
	})
}

func TestAPI(t *testing.T) {
	e := serve(t, "unix", func(c *ServerConfig) {
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method, " ", r.URL.Path) })
	})
	p := e.meet(nil, Client{})
	answer, err := (&http.Client{Transport: p}).Post("http://anything/api/v1/retry", "", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "POST /api/v1/retry" {
		t.Errorf("%q, %v", text, err)
	}
	// Commands of this machine speak HTTP/1.
	old := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", e.addr.String()) }}}
	plain, err := old.Get("http://node/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if text, err := io.ReadAll(plain.Body); err != nil || string(text) != "GET /api/v1/status" {
		t.Errorf("%q, %v", text, err)
	}
}
