package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A onceLife is one start of a node on a store, with an injector and what it gives.
type onceLife struct {
	*Node
	end    func()
	inject gofn.Func
	log    testenv.Journal
}

// live starts a node with an injector that runs once.
func live(t *testing.T, s store.Store, d Durability, inject gofn.Func) *onceLife {
	t.Helper()
	l := &onceLife{inject: inject}
	l.Node = New(Config{
		Name: "test", Store: s, Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Durability: d, Log: l.log.Log(),
		Kinds: runner.Kinds{seed.Go: gofn.Kind(func(m seed.Manifest) gofn.Func { return inject })},
	})
	l.end = running(t, l.Node)
	t.Cleanup(l.end)
	l.host(t, "")
	return l
}

// host hosts the injector; another version is an edited file.
func (l *onceLife) host(t *testing.T, version string) {
	t.Helper()
	c, err := seed.ParseContract("-> T:A")
	if err != nil {
		t.Fatal(err)
	}
	m := seed.Manifest{Name: "load", Kind: seed.Go, Contract: c, Once: true, Version: version}
	if err := errors.Join(l.Host(t.Context(), m)...); err != nil {
		t.Fatal(err)
	}
}

// told waits until the node says something.
func (l *onceLife) told(t *testing.T, what string, times int) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, "the log says "+what, func() bool { return strings.Count(l.log.String(), what) >= times })
}

// lie are the ids in a place.
func lie(t *testing.T, s store.Store, at store.Queue) (ids []packet.ID) {
	t.Helper()
	err := s.Look(t.Context(), at, 0, func(r store.Stored) bool {
		_, ps, err := packet.ParseFrame(r.Data)
		if err != nil {
			t.Error(err)
		}
		for _, p := range ps {
			ids = append(ids, p.ID)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

const loaded = store.Queue("wait.T.A")

// noted tells whether the store remembers that the injector has ended.
func noted(t *testing.T, s store.Store) bool {
	t.Helper()
	_, ok, err := s.Get(t.Context(), store.Key{In: onceTable, Key: "load"})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func disk(t *testing.T, dir string) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // a second time it is nothing
	return s
}

const again = "does not run again"

// TestOnceOnDisk has an injector end, and start again with its node, and
// edited: it runs no more.
func TestOnceOnDisk(t *testing.T) {
	dir := t.TempDir()
	give := func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
		return errors.Join(emit("", "1"), emit("", "2"))
	}
	s := disk(t, dir)
	l := live(t, s, Disk, give)
	testenv.Eventually(t, 10*time.Second, "the note", func() bool { return noted(t, s) })
	if got := lie(t, s, loaded); len(got) != 2 {
		t.Errorf("the note is there, and of the packets %d", len(got))
	}
	l.host(t, "edited")
	l.told(t, again, 1)
	if left, err := l.Left(t.Context()); err != nil || left != 2 {
		t.Errorf("%d packets are left, %v; the note is none", left, err)
	}
	l.end()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = disk(t, dir)
	l = live(t, s, Disk, give)
	l.told(t, again, 1)
	l.host(t, "edited again")
	l.told(t, again, 2)
	if got := lie(t, s, loaded); len(got) != 2 {
		t.Errorf("%d packets after the second start; expected 2", len(got))
	}
}

// TestOnceCutShort ends nodes while the injector runs: it runs again, and what
// it gives has the ids that it had.
func TestOnceCutShort(t *testing.T) {
	s := disk(t, t.TempDir())
	given := make(chan struct{})
	l := live(t, s, Disk, func(ctx context.Context, _ packet.Packet, emit gofn.Emit) error {
		if err := emit("", "1"); err != nil {
			return err
		}
		close(given)
		<-ctx.Done()
		return nil // as one that does not look at it
	})
	<-given
	testenv.Eventually(t, 10*time.Second, "the packet", func() bool { return len(lie(t, s, loaded)) == 1 })
	l.end()
	if noted(t, s) {
		t.Fatal("one that was cut short is remembered")
	}
	live(t, s, Disk, func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
		return errors.Join(emit("", "1"), emit("", "2"))
	})
	testenv.Eventually(t, 10*time.Second, "the note", func() bool { return noted(t, s) })
	ids := lie(t, s, loaded)
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] == ids[2] {
		t.Errorf("the ids are %v; expected the first twice", ids)
	}
}

// TestOnceFailed has an injector give up: that is no end.
func TestOnceFailed(t *testing.T) {
	s := disk(t, t.TempDir())
	l := live(t, s, Disk, func(context.Context, packet.Packet, gofn.Emit) error { return errors.New("no") })
	l.told(t, "injector load gave up", 1)
	l.host(t, "edited")
	l.told(t, "injector load gave up", 2)
	if noted(t, s) {
		t.Error("one that gave up is remembered")
	}
}

// TestOnceInMemory remembers it as long as the node runs.
func TestOnceInMemory(t *testing.T) {
	for _, d := range []Durability{None, Memory} {
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			s := inMemory(t, pebble.Config{})
			t.Cleanup(func() { s.Close() })
			give := func(_ context.Context, _ packet.Packet, emit gofn.Emit) error { return emit("", "1") }
			for i := range 2 {
				l := live(t, s, d, give)
				testenv.Eventually(t, 10*time.Second, "the run", func() bool { return len(lie(t, s, loaded)) == i+1 })
				testenv.Eventually(t, 10*time.Second, "its end", func() bool { return l.onced.has("load") })
				l.host(t, "edited")
				l.told(t, again, 1)
				l.end()
			}
			if noted(t, s) {
				t.Error("it is remembered beyond the node")
			}
		})
	}
}
