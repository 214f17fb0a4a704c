package adopt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

const group = "default"

// A home is a data folder in use.
type home struct {
	t     *testing.T
	own   *folder.Folder
	store *pebble.Store
	blobs *blob.Store
	log   bytes.Buffer
}

func open(t *testing.T, dir string, size int64) *home {
	t.Helper()
	own, err := folder.Open(t.Context(), dir, folder.Node{Name: "n", Group: group, StoreSize: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	h := &home{t: t, own: own, store: s, blobs: blob.Open(blob.Config{Dir: filepath.Join(dir, folder.BlobsDir), Sync: true})}
	t.Cleanup(h.close)
	return h
}

func (h *home) close() {
	for _, err := range []error{h.store.Close(), h.blobs.Close(), h.own.Close()} {
		if err != nil && !errors.Is(err, os.ErrClosed) {
			h.t.Error(err)
		}
	}
}

// run adopts what lies beside the home.
func (h *home) run(ctx context.Context, s store.Store) (damaged bool) {
	if s == nil {
		s = h.store
	}
	return Run(ctx, Config{
		Data: filepath.Dir(filepath.Dir(h.own.Dir)), Own: h.own, Store: s, Blobs: h.blobs,
		Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
}

func (h *home) append(to store.Queue, data []byte, packets int) {
	h.t.Helper()
	h.commit(&store.Tx{Append: []store.Append{{To: to, Frame: store.Frame{Data: data, Packets: packets, Rank: store.Descendant}}}})
}

func (h *home) commit(tx *store.Tx) {
	h.t.Helper()
	if err := h.store.Commit(h.t.Context(), tx); err != nil {
		h.t.Fatal(err)
	}
}

func frame(ps ...packet.Packet) []byte { return packet.AppendFrame(nil, packet.FrameHeader{}, ps) }

func numbered(n int) packet.Packet {
	return packet.Packet{ID: packet.HashID("test", "", fmt.Sprint(n)), State: "T:A", Data: fmt.Sprint(n)}
}

// counts is how often each packet lies in the place.
func (h *home) counts(at store.Queue) map[string]int {
	h.t.Helper()
	got := map[string]int{}
	err := h.store.Look(h.t.Context(), at, 0, func(r store.Stored) bool {
		_, ps, err := packet.ParseFrame(r.Data)
		if err != nil {
			h.t.Error(err)
		}
		for _, p := range ps {
			got[p.Data]++
		}
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// dir is the n-th data folder of the test.
func dir(data string, n int) string { return filepath.Join(data, group, fmt.Sprint(n)) }

// TestRun moves what two folders hold, each frame to its place, and leaves
// what somebody uses, what is empty and what is of no concern.
func TestRun(t *testing.T) {
	data := t.TempDir()
	for n := range 3 {
		h := open(t, dir(data, n+2), 0)
		for i := range 10 {
			h.append("in.greet", frame(numbered(100*n+i)), 1)
		}
		if n == 0 { // what was acknowledged is gone
			leases, err := h.store.Pull(t.Context(), "in.greet", 1)
			if err != nil || leases[0].Ack() != nil {
				t.Fatal(err)
			}
			h.append("ledger."+store.Queue(packet.NewID().String()), frame(numbered(1)), 1)
		}
		h.append("wait.T.A", frame(numbered(1000+n), numbered(2000+n)), 2)
		if n < 2 {
			h.close()
		}
	}
	open(t, dir(data, 7), 0).close()
	own := open(t, dir(data, 1), 0)
	if own.run(t.Context(), nil) {
		t.Error("it is told that there was damage")
	}
	got, waits := own.counts("in.greet"), own.counts("wait.T.A")
	if len(got) != 19 || got["0"] != 0 || got["9"] != 1 || got["100"] != 1 || got["109"] != 1 {
		t.Errorf("in the inbox lie %v", got)
	}
	if len(waits) != 4 || waits["2001"] != 1 {
		t.Errorf("waiting are %v", waits)
	}
	for n, want := range map[int]bool{2: false, 3: false, 4: true, 7: true} {
		if _, err := os.Stat(dir(data, n)); (err == nil) != want {
			t.Errorf("folder %d: %v", n, err)
		}
	}
	for _, want := range []string{" folder=" + dir(data, 2) + " packets=11\n", " folder=" + dir(data, 3) + " packets=12\n"} {
		if !strings.Contains(own.log.String(), want) {
			t.Errorf("not told: %s\n%s", want, own.log.String())
		}
	}
}

// TestDamage keeps what is damaged, and moves the rest.
func TestDamage(t *testing.T) {
	data := t.TempDir()
	h := open(t, dir(data, 2), 0)
	broken := frame(numbered(1))
	broken[len(broken)-1] ^= 1
	h.append("in.greet", frame(numbered(0)), 1)
	h.append("in.greet", broken, 1)
	lost := numbered(2)
	lost.Data, lost.Blob = "", &packet.Blob{Size: 7}
	h.commit(&store.Tx{Append: []store.Append{{To: "in.greet", Frame: store.Frame{Data: frame(lost), Packets: 1, Blobs: []packet.Sum{lost.Blob.Sum}}}}})
	large := numbered(3)
	b, err := h.blobs.Put(t.Context(), strings.NewReader("large"), 10)
	if err != nil {
		t.Fatal(err)
	}
	large.Blob = &b
	h.commit(&store.Tx{Append: []store.Append{{To: "in.greet", Frame: store.Frame{Data: frame(large, large), Packets: 2, Blobs: []packet.Sum{b.Sum}}}}})
	h.close()

	own := open(t, dir(data, 1), 0)
	if !own.run(t.Context(), nil) {
		t.Error("the damage is not told")
	}
	if got := own.counts("in.greet"); len(got) != 3 || got["0"] != 1 || got[""] != 1 || got["3"] != 2 {
		t.Errorf("in the inbox lie %v", got)
	}
	file, err := own.blobs.Open(b)
	if err != nil {
		t.Fatal("large data: ", err)
	}
	file.Close()
	for held := range 2 {
		if err := own.blobs.Sweep(); err != nil {
			t.Fatal(err)
		}
		file, err := own.blobs.Open(b)
		if err != nil {
			t.Fatalf("%d holders of the large data are too few: %v", held, err)
		}
		file.Close()
		if err := own.blobs.Drop(b.Sum); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := own.blobs.Open(b); err == nil {
		t.Error("the large data stays when nobody needs it")
	}
	kept := dir(data, 2) + ".damaged"
	for _, want := range []string{"frame 2 of in.greet", "packet " + lost.ID.String(), " folder=" + kept + " packets=", " damaged=2 "} {
		if !strings.Contains(own.log.String(), want) {
			t.Errorf("not told: %s\n%s", want, own.log.String())
		}
	}
	files, err := pebble.OpenFiles(kept)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	if err := files.Frames(t.Context(), func(f pebble.Found) error {
		if bytes.Equal(f.Data, broken) {
			found++
		}
		return nil
	}); err != nil || found != 1 {
		t.Errorf("the damaged frame is there %d times, %v", found, err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
}

// TestStays leaves a folder as it is that another version, group or user has
// written.
func TestStays(t *testing.T) {
	for name, spoil := range map[string]func(h *home, dir string) error{
		"a newer frame": func(h *home, _ string) error {
			newer := frame(numbered(1))
			newer[3]++ // its version
			h.append("in.greet", newer, 1)
			return nil
		},
		"a newer folder": func(_ *home, dir string) error {
			return os.WriteFile(filepath.Join(dir, "node.json"), []byte(`{"folder": {"version":99}, "sha256": "9a2f382f9e837c60ef6c2dcc8efeb1b0e2e37ce828e692deb08fb9b0d798d2d7"}`), 0o600)
		},
		"another group": func(_ *home, dir string) error {
			return os.WriteFile(filepath.Join(dir, "node.json"), []byte(`{"folder": {"version":2,"group":"lab"}, "sha256": "ae7fd169094caa2229c8f4e453135e37feeae5daf675204d8e8ee5a04dff8188"}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			h := open(t, dir(data, 2), 0)
			h.append("in.greet", frame(numbered(0)), 1)
			if err := spoil(h, dir(data, 2)); err != nil {
				t.Fatal(err)
			}
			h.close()
			own := open(t, dir(data, 1), 0)
			own.run(t.Context(), nil)
			if got := own.counts("in.greet"); len(got) > 0 {
				t.Errorf("%v came over", got)
			}
			if _, err := os.Stat(dir(data, 2)); err != nil {
				t.Error(err)
			}
			if !strings.Contains(own.log.String(), "packets stay in a data folder") {
				t.Errorf("not told:\n%s", own.log.String())
			}
		})
	}
}

// A gate is a store that takes so many frames, and then says that it is full.
type gate struct {
	store.Store
	room    atomic.Int64
	refused chan struct{}
}

func (g *gate) Commit(ctx context.Context, tx *store.Tx) error {
	n := int64(len(tx.Append))
	if g.room.Add(-n) < 0 {
		g.room.Add(n)
		if n == 1 {
			select {
			case g.refused <- struct{}{}:
			default:
			}
		}
		return fmt.Errorf("append: %w", store.ErrFull)
	}
	return g.Store.Commit(ctx, tx)
}

// TestFull waits for room, and ends when it is told to.
func TestFull(t *testing.T) {
	data := t.TempDir()
	h := open(t, dir(data, 2), 0)
	for i := range 10 {
		h.append("in.greet", frame(numbered(i)), 1)
	}
	h.close()
	own := open(t, dir(data, 1), 0)
	g := &gate{Store: own.store, refused: make(chan struct{}, 1)}
	g.room.Store(3)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool, 1)
	go func() { ended <- own.run(ctx, g) }()
	for range 3 { // the last comes after the second has been said
		<-g.refused
	}
	cancel()
	<-ended
	if got := own.counts("in.greet"); len(got) != 3 {
		t.Errorf("%v came over; expected 3", got)
	}
	g.room.Store(2)
	g.refused = make(chan struct{}, 1)
	go func() { ended <- own.run(t.Context(), g) }()
	for range 3 {
		<-g.refused
	}
	g.room.Store(100)
	<-ended
	if got := own.counts("in.greet"); len(got) != 10 {
		t.Errorf("%v came over; expected all", got)
	}
	if _, err := os.Stat(dir(data, 2)); err == nil {
		t.Error("the empty folder is still there")
	}
	if strings.Count(own.log.String(), "when there is room") != 2 {
		t.Errorf("not told once each time:\n%s", own.log.String())
	}
}

// TestKill kills a process in the midst of it, and goes on: nothing is lost.
func TestKill(t *testing.T) {
	const frames = 200
	if data := os.Getenv("ADOPT_TEST_DATA"); data != "" {
		own := open(t, dir(data, 1), 0)
		g := &gate{Store: own.store, refused: make(chan struct{})}
		g.room.Store(frames / 2)
		go own.run(t.Context(), g)
		<-g.refused
		os.Stdout.WriteString("half\n")
		select {} // until it is killed
	}
	data := t.TempDir()
	h := open(t, dir(data, 2), 0)
	for i := range frames {
		h.append("in.greet", frame(numbered(i)), 1)
	}
	h.close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "ADOPT_TEST_DATA="+data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "half\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	own := open(t, dir(data, 1), 0)
	if got := own.counts("in.greet"); len(got) != frames/2 {
		t.Errorf("%d frames were there after the kill; expected %d", len(got), frames/2)
	}
	own.run(t.Context(), nil)
	got := own.counts("in.greet")
	for i := range frames {
		if n := got[fmt.Sprint(i)]; n < 1 || n > 2 {
			t.Errorf("packet %d is there %d times", i, n)
		}
	}
	if _, err := os.Stat(dir(data, 2)); err == nil {
		t.Error("the folder is still there")
	}
}

// TestStarts has a folder taken over while other nodes start: nobody gets what
// is being removed.
func TestStarts(t *testing.T) {
	data := t.TempDir()
	own := open(t, dir(data, 1), 0)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 10 {
		left := open(t, dir(data, 2), 0)
		left.append("in.greet", frame(numbered(1)), 1)
		left.close()
		ended := make(chan bool, 1)
		go func() { ended <- own.run(ctx, nil) }()
		for taken := false; !taken; {
			f, err := folder.Find(t.Context(), data, folder.Node{Name: "m", Group: group}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(f.Dir, "node.json")); err != nil {
				t.Errorf("the folder that was found has gone: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
				taken = true
			default:
			}
		}
	}
	testenv.Eventually(t, 10*time.Second, "no rest", func() bool {
		rest, _ := filepath.Glob(filepath.Join(data, group, ".gone-*"))
		return len(rest) == 0
	})
}
