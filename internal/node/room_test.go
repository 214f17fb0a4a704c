package node

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestLargeDataWaitsForRoom has large data come for which the store has no room: it
// is not put beside the frames before there is, and whoever stops waiting has not
// sent.
func TestLargeDataWaitsForRoom(t *testing.T) {
	blobs := blob.Open(blob.Config{Dir: t.TempDir()})
	s := inMemory(t, pebble.Config{Size: 1 << 20, Beside: blobs.Used})
	w := newWorld(t)
	w.Node = New(Config{Name: "test", Store: s, Blobs: blobs, Durability: Memory, Kinds: w.cfg.Kinds})
	w.start()
	send := func(ctx context.Context, size int) error {
		return w.InjectData(ctx, packet.Packet{State: "B:B"}, bytes.NewReader(make([]byte, size)), int64(size))
	}
	if err := send(t.Context(), 600<<10); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := send(short, 700<<10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second one gave %v; expected that it waits", err)
	}
	if used := blobs.Used(); used != 600<<10 {
		t.Errorf("%d bytes of large data are stored; expected those of the first alone", used)
	}
	if err := send(t.Context(), 2<<20); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("one that is larger than the store gave %v", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- send(t.Context(), 700<<10) }()
	if n, err := w.Drop(t.Context(), Selection{States: []packet.State{"B:B"}}); n != 1 || err != nil {
		t.Fatalf("%d were dropped, %v", n, err)
	}
	select {
	case err := <-sent:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("there is room, and it waits still")
	}
}

// TestDataOfUnknownSizeLeavesTheReserve has more data come than roots may have, of a
// sender that does not say how much: it waits, and once it stops waiting nothing stays.
func TestDataOfUnknownSizeLeavesTheReserve(t *testing.T) {
	blobs := blob.Open(blob.Config{Dir: t.TempDir()})
	s := inMemory(t, pebble.Config{Size: 1 << 20, Reserve: 4 << 20, Beside: blobs.Used})
	w := newWorld(t)
	w.Node = New(Config{Name: "test", Store: s, Blobs: blobs, Durability: Memory, Kinds: w.cfg.Kinds})
	w.start()
	if err := w.InjectData(t.Context(), packet.Packet{State: "B:B"}, bytes.NewReader(make([]byte, 3<<20)), -1); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("more than the whole store takes gave %v", err)
	}
	if used := blobs.Used(); used != 0 {
		t.Errorf("%d bytes of it are stored", used)
	}
	if err := w.InjectData(t.Context(), packet.Packet{State: "B:B"}, bytes.NewReader(make([]byte, 1<<19)), -1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() {
		sent <- w.InjectData(ctx, packet.Packet{State: "B:B"}, bytes.NewReader(make([]byte, 3<<20)), -1)
	}()
	testenv.Eventually(t, 20*time.Second, "the node says that packets are held back", w.trouble.Load)
	if used := blobs.Used(); used > 1<<20 {
		t.Errorf("%d bytes are stored, more than roots may have", used)
	}
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if used := blobs.Used(); used != 1<<19 {
		t.Errorf("%d bytes are stored; expected those of the first alone", used)
	}
}

// TestASmallStoreTakesDataOfUnknownSize has a store that is smaller than what is read at
// a time.
func TestASmallStoreTakesDataOfUnknownSize(t *testing.T) {
	blobs := blob.Open(blob.Config{Dir: t.TempDir()})
	w := newWorld(t)
	w.Node = New(Config{Name: "test", Store: inMemory(t, pebble.Config{Size: 2000, Beside: blobs.Used}), Blobs: blobs, Durability: Memory, Kinds: w.cfg.Kinds})
	w.start()
	if err := w.InjectData(t.Context(), packet.Packet{State: "B:B"}, strings.NewReader("text"), -1); err != nil {
		t.Fatal(err)
	}
	if n := waitsFor(w, "B:B"); n != 1 {
		t.Errorf("%d packets wait", n)
	}
}

// TestLargeOutputsWaitForRoom has a seed give large data for which not even the
// reserve has room: it is not put beside the frames before there is.
func TestLargeOutputsWaitForRoom(t *testing.T) {
	blobs := blob.Open(blob.Config{Dir: t.TempDir()})
	s := inMemory(t, pebble.Config{Size: 1 << 20, Reserve: 100 << 10, Beside: blobs.Used})
	w := newWorld(t)
	w.Node = New(Config{Name: "test", Store: s, Blobs: blobs, Durability: Memory, Kinds: w.cfg.Kinds})
	w.host(w.seed("grow", "A:A -> C:C", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
		return emit("C:C", string(make([]byte, 700<<10)))
	}))
	w.start()
	if err := w.InjectData(t.Context(), packet.Packet{State: "B:B"}, bytes.NewReader(make([]byte, 600<<10)), 600<<10); err != nil {
		t.Fatal(err)
	}
	w.inject("A:A", "grow", nil)
	testenv.Eventually(t, 20*time.Second, "the node says that packets are held back", w.trouble.Load)
	if used := blobs.Used(); used >= 1<<20+100<<10 {
		t.Errorf("%d bytes of large data are stored, more than the store takes", used)
	}
	if n, err := w.Drop(t.Context(), Selection{States: []packet.State{"B:B"}}); n != 1 || err != nil {
		t.Fatalf("%d were dropped, %v", n, err)
	}
	testenv.Eventually(t, 20*time.Second, "the output is stored", func() bool { return waitsFor(w, "C:C") == 1 })
}
