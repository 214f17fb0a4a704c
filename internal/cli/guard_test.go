package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
)

// TestGuard holds the frames of a store back, lets them go, and holds them back for good.
func TestGuard(t *testing.T) {
	var log testenv.Journal
	s := pebble.InMemory(pebble.Config{})
	defer s.Close()
	const at store.Queue = "in.x"
	put := func() {
		t.Helper()
		if err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: at, Frame: store.Frame{Data: []byte("frame"), Packets: 2}}}}); err != nil {
			t.Fatal(err)
		}
	}
	put()
	g, err := newGuard(t.Context(), s, true, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	type pulled struct {
		leases []store.Lease
		err    error
	}
	pull := func(ctx context.Context) <-chan pulled {
		got := make(chan pulled, 1)
		go func() {
			leases, err := g.Pull(ctx, at, 1)
			got <- pulled{leases, err}
		}()
		return got
	}
	leased := func(got <-chan pulled) store.Lease {
		t.Helper()
		select {
		case p := <-got:
			if p.err != nil || len(p.leases) != 1 {
				t.Fatalf("pulled %d frames: %v", len(p.leases), p.err)
			}
			return p.leases[0]
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is pulled")
			return nil
		}
	}
	// untaken expects that a frame that was put into the store is there for who goes round the
	// guard.
	untaken := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		leases, err := s.Pull(ctx, at, 1)
		if err != nil {
			t.Fatalf("a frame that is held back was leased: %v", err)
		}
		if err := leases[0].Release(0); err != nil {
			t.Fatal(err)
		}
	}
	if err := leased(pull(t.Context())).Ack(); err != nil { // nothing is held back at first
		t.Fatal(err)
	}

	waiting := pull(t.Context()) // in the store
	g.doubt(true)
	put()
	untaken()
	ctx, cancel := context.WithCancel(t.Context())
	other := pull(ctx)
	cancel()
	if p := <-other; !errors.Is(p.err, context.Canceled) {
		t.Errorf("a pull that is held back, and ends, gives %d frames: %v", len(p.leases), p.err)
	}
	if len(waiting) > 0 {
		t.Error("a frame was leased that is held back")
	}
	over, stop := context.WithCancel(t.Context())
	stop()
	g.watch(over, func() bool { return false })
	if len(waiting) > 0 {
		t.Error("it is let go when the node ends")
	}
	g.free()
	if err := leased(waiting).Ack(); err != nil {
		t.Fatal(err)
	}

	waiting = pull(t.Context())
	g.copied("tcp://10.0.0.1:7900\x1b[31m")
	g.free()
	put()
	untaken()
	if text := g.text(); text != `this folder is a copy of that of the node at tcp://10.0.0.1:7900\x1b[31m; 2 packets lie in both: end one and start it with an empty folder (--data DIR)` {
		t.Errorf("it says %q", text)
	}
	if !strings.Contains(log.String(), "this node came second") {
		t.Errorf("the log is\n%s", &log)
	}
	ctx, cancel = context.WithCancel(t.Context())
	other = pull(ctx)
	cancel()
	untaken()
	if p := <-other; !errors.Is(p.err, context.Canceled) || len(waiting) > 0 {
		t.Errorf("a frame of a copy was leased: %+v", p)
	}
	var none *guard // of a node in memory
	none.doubt(true)
	none.watch(t.Context(), nil)
	if none.text() != "" {
		t.Error("a node without a folder has a copy")
	}
}

// TestGuardOfAnEmptyFolder: in a copy of a folder with nothing in it nothing can run twice, so
// what comes later is leased.
func TestGuardOfAnEmptyFolder(t *testing.T) {
	var log testenv.Journal
	s := pebble.InMemory(pebble.Config{})
	defer s.Close()
	g, err := newGuard(t.Context(), s, true, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	g.doubt(true)
	g.copied("lab-1:7900")
	if err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: "in.x", Frame: store.Frame{Data: []byte("frame"), Packets: 1}}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if leases, err := g.Pull(ctx, "in.x", 1); err != nil || len(leases) != 1 {
		t.Errorf("%d frames, %v", len(leases), err)
	}
	if text := g.text(); !strings.Contains(text, "a copy of that of the node at lab-1:7900; 0 packets lie in both") || log.Count("runs nothing") > 0 {
		t.Errorf("it says %q", text)
	}
}
