package link

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A holder is a node that leases frames of another over one connection after another.
type holder struct {
	*end
	hello Hello
	kept  Kept
	cable *meshtest.Cable
}

func newHolder(e *end) *holder {
	return &holder{end: e, hello: Hello{Protocol: mesh.Protocol, Node: "holder", Boot: packet.NewID()}}
}

// connect reaches the owner over a new cable.
func (h *holder) connect() *Peer {
	h.t.Helper()
	h.cable = meshtest.NewCable(h.t.(*testing.T), h.addr.Network(), h.addr.String())
	conn, err := net.Dial("tcp", h.cable.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	return h.meet(conn, Client{Hello: h.hello, Kept: &h.kept})
}

// lease leases so many frames.
func (h *holder) lease(p *Peer, most int) []store.Lease {
	h.t.Helper()
	leases, err := p.Store().Pull(h.t.Context(), inbox, most)
	if err != nil || len(leases) != most {
		h.t.Fatalf("%v, %v; expected %d leases", leases, err, most)
	}
	return leases
}

// left are what the frames hold that are still in the owner's store.
func (h *holder) left() (data []string) {
	err := h.store.Look(context.Background(), inbox, 0, func(r store.Stored) bool {
		data = append(data, string(r.Data))
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return data
}

// TestLeasesOutliveTheirConnection: what goes on is taken up over the next one, what
// ended meanwhile is said then, and what was given back or never came is free.
func TestLeasesOutliveTheirConnection(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		h := newHolder(serve(t, network, nil))
		first := h.connect()
		h.put("done before", "done while away", "given back while away", "goes on", "goes on still", "given back later")
		leases := h.lease(first, 6)
		if err := leases[0].Ack(); err != nil {
			t.Fatal(err)
		}
		h.cable.Break()
		<-first.Gone()
		if err := errors.Join(leases[1].Ack(), leases[2].Release(0)); err != nil {
			t.Fatal(err)
		}
		if n := h.host.Held(); n < 5 {
			t.Errorf("the owner has given back what is leased to a node that it does not hear of: it holds %d leases", n)
		}
		second := h.connect()
		want := []string{"given back while away", "goes on", "goes on still", "given back later"}
		testenv.Eventually(t, 10*time.Second, "the owner knows what has ended", func() bool {
			return h.host.Held() == 3 && slices.Equal(h.left(), want)
		})
		if again := h.lease(second, 1); string(again[0].Data()) != want[0] || leases[3].(mesh.Lapsing).Lapsed() {
			t.Errorf("%q is leased again; expected %q alone", again[0].Data(), want[0])
		}
		if err := leases[3].Ack(); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 10*time.Second, "it is acknowledged over the new connection", func() bool { return len(h.left()) == 3 })

		// Once more, before anything was said over the connection. Held are "goes on
		// still", "given back later", and what was leased again.
		h.cable.Break()
		<-second.Gone()
		if n := h.host.Held(); n != 3 {
			t.Errorf("the owner holds %d leases; expected 3", n)
		}
		if err := leases[5].Release(0); err != nil {
			t.Fatal(err)
		}
		h.connect()
		testenv.Eventually(t, 10*time.Second, "only what goes on is leased", func() bool { return h.host.Held() == 2 })
		if err := leases[4].Ack(); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 10*time.Second, "it is acknowledged over the third connection", func() bool { return len(h.left()) == 2 })
	})
}

// TestAckInFlight breaks connections at the moment that frames are acknowledged: none of
// them comes again.
func TestAckInFlight(t *testing.T) {
	h := newHolder(serve(t, "unix", nil))
	for range 20 {
		p := h.connect()
		h.put("a", "b", "c")
		for _, l := range h.lease(p, 3) {
			if l.Deliveries() > 1 {
				t.Errorf("%q comes again", l.Data())
			}
			if err := l.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		h.cable.Break()
		<-p.Gone()
	}
	h.connect()
	testenv.Eventually(t, 10*time.Second, "all are acknowledged", func() bool { return len(h.left()) == 0 })
}

// TestLapsedLeases: an acknowledgement under a lease that somebody else got meanwhile
// is refused, and its holder learns that it has lapsed.
func TestLapsedLeases(t *testing.T) {
	h := newHolder(serve(t, "tcp", nil))
	first := h.connect()
	h.put("x")
	lease := h.lease(first, 1)[0]
	h.cable.Break()
	<-first.Gone()
	if !lease.(mesh.Lapsing).Lapsed() {
		t.Error("a lease whose owner is gone is said to hold")
	}
	h.host.Lapse()
	other := h.end.meet(nil, Client{})
	h.lease(other, 1)
	h.connect()
	testenv.Eventually(t, 10*time.Second, "the holder learns of it", func() bool { return errors.Is(lease.Ack(), store.ErrLapsed) })
	if !lease.(mesh.Lapsing).Lapsed() || len(h.left()) != 1 || h.host.Held() != 1 {
		t.Errorf("lapsed is %v, %q are stored, and %d leased", lease.(mesh.Lapsing).Lapsed(), h.left(), h.host.Held())
	}
}

// TestANodeThatEndsLeaves: its leases are free at once.
func TestANodeThatEndsLeaves(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		e := serve(t, network, nil)
		p, err := e.dial(t.Context(), nil, Client{})
		if err != nil {
			t.Fatal(err)
		}
		p.pull.leaveTime = time.Minute
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ran := make(chan error, 1)
		go func() { ran <- p.Run(ctx) }()
		e.put("a", "b")
		leases, err := p.Store().Pull(t.Context(), inbox, 2)
		if err != nil || len(leases) != 2 {
			t.Fatal(leases, err)
		}
		if err := leases[0].Ack(); err != nil {
			t.Fatal(err)
		}
		cancel()
		<-ran
		testenv.Eventually(t, 10*time.Second, "it has given back all", func() bool { return e.host.Held() == 0 && e.frames() == 1 })
	})
}

// TestLeasesAreKnownWhileThereIsAConnection: a node that pulls for the first time long
// after it met the owner, and met others meanwhile, has leases that outlive the
// connection like all others.
func TestLeasesAreKnownWhileThereIsAConnection(t *testing.T) {
	h := newHolder(serve(t, "tcp", nil))
	first := h.connect()
	first.pull.kept.mu.Lock()
	first.pull.kept.since = time.Now().Add(-2 * keptTime) // as if that had been so long ago
	first.pull.kept.mu.Unlock()

	other := serve(t, "tcp", nil)
	other.host.SetCard(func(c *mesh.Card) { c.Node = "other" })
	other.meet(nil, Client{Hello: h.hello, Kept: &h.kept})

	h.put("x")
	lease := h.lease(first, 1)[0]
	h.cable.Break()
	<-first.Gone()
	h.connect()
	if err := lease.Ack(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, "it is acknowledged over the new connection", func() bool { return len(h.left()) == 0 })
}

// TestAnOwnerIsToldAtOnceWhatIsFree: what was given back while the owner was away, and
// what never came, is free when the owner is back, also if nothing goes on and nothing is
// pulled again.
func TestAnOwnerIsToldAtOnceWhatIsFree(t *testing.T) {
	t.Run("given back", func(t *testing.T) {
		h := newHolder(serve(t, "tcp", nil))
		first := h.connect()
		h.put("x")
		lease := h.lease(first, 1)[0]
		h.cable.Break()
		<-first.Gone()
		if err := lease.Release(0); err != nil {
			t.Fatal(err)
		}
		h.connect()
		testenv.Eventually(t, 10*time.Second, "it is free", func() bool { return h.host.Held() == 0 })
	})
	t.Run("never came", func(t *testing.T) {
		h := newHolder(serve(t, "tcp", nil))
		first := h.connect()
		var pull errgroup.Group
		pull.Go(func() error {
			_, err := first.Store().Pull(t.Context(), inbox, 1)
			return err
		})
		testenv.Eventually(t, 10*time.Second, "the owner knows of the pull", func() bool {
			h.server.mu.Lock()
			defer h.server.mu.Unlock()
			for _, s := range h.server.sessions {
				s.mu.Lock()
				n := len(s.pulls)
				s.mu.Unlock()
				return n == 1
			}
			return false
		})
		h.cable.Cut()
		h.put("x")
		testenv.Eventually(t, 10*time.Second, "it is leased", func() bool { return h.host.Held() == 1 })
		h.cable.Break()
		if err := pull.Wait(); !errors.Is(err, mesh.ErrGone) {
			t.Fatalf("the pull ended with %v; expected that the owner is gone", err)
		}
		h.connect()
		testenv.Eventually(t, 10*time.Second, "it is free", func() bool { return h.host.Held() == 0 })
	})
}
