package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

func TestMain(m *testing.M) {
	supervise.Main()
	os.Exit(m.Run())
}

// newFileWorld is a world whose seeds may be files, too.
func newFileWorld(t *testing.T) *world {
	testenv.Need(t, "python3")
	w := newWorld(t)
	kinds := w.kinds()
	kinds[seed.Python], kinds[seed.Process] = python.Kind, process.Kind
	w.Node = New(Config{Name: "test", Run: "run", Store: openStore(t), Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Durability: durability(), Kinds: kinds})
	return w
}

// file describes a seed of a file that holds text.
func (w *world) file(kind seed.Kind, contract, text string) seed.Manifest {
	w.t.Helper()
	m := w.seed("m", contract, nil)
	m.Kind, m.File = kind, filepath.Join(w.t.TempDir(), "m.py")
	write(w.t, m.File, text)
	return m
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// untilThere is Python that waits for a file.
func untilThere(flag string) string {
	return "import os, time\nwhile not os.path.exists('" + flag + "'):\n    time.sleep(0.01)\n"
}

// TestASeedIsAnAcceptorWhileItLoads: what comes for it waits in its inbox, and runs when
// its import has ended.
func TestASeedIsAnAcceptorWhileItLoads(t *testing.T) {
	w := newFileWorld(t)
	flag := filepath.Join(t.TempDir(), "flag")
	var got basket
	w.host(w.file(seed.Python, "A:A -> B:B", untilThere(flag)+"def run(x):\n    return x\n"), w.seed("end", "B:B ->", got.run))
	w.start()
	w.inject("A:A", "early", nil)
	testenv.Eventually(t, 60*time.Second, "its packet is in its inbox", func() bool { return w.statusOf("m").Stored == 1 })
	if s := w.statusOf("m"); !s.Loading || s.NotLoaded != "" {
		t.Errorf("while it loads: %+v", s)
	}
	if why := strings.Join(w.Unready(), "; "); why != "loading m.py" {
		t.Errorf("the node says %q", why)
	}
	write(t, flag, "")
	testenv.Eventually(t, 60*time.Second, "it runs", func() bool { return got.count() == 1 })
	if s := w.statusOf("m"); s.Loading || len(w.Unready()) > 0 {
		t.Errorf("when it is loaded: %+v", s)
	}
}

// TestANodeEndsWhileASeedLoads, and the import with it.
func TestANodeEndsWhileASeedLoads(t *testing.T) {
	w := newFileWorld(t)
	begun := filepath.Join(t.TempDir(), "begun")
	w.host(w.file(seed.Python, "A:A ->", "open('"+begun+"', 'w')\n"+untilThere("/none")))
	w.start()
	testenv.Eventually(t, 60*time.Second, "the import has begun", func() bool { _, err := os.Stat(begun); return err == nil })
	w.drain()
	w.end()
}

// TestAFailedLoadIsTriedAgain: the seed is an acceptor meanwhile, and what it was sent
// has no attempt the more.
func TestAFailedLoadIsTriedAgain(t *testing.T) {
	w := newFileWorld(t)
	flag := filepath.Join(t.TempDir(), "flag")
	var got basket
	m := w.file(seed.Python, "A:A -> B:B", `import os
if not os.path.exists('`+flag+`'):
    raise OSError('the database is away')
def run(x, pkt):
    return str(pkt.attempt)
`)
	w.host(m, w.seed("end", "B:B ->", got.run))
	w.start()
	w.inject("A:A", "early", nil)
	if err := w.Loaded(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), "the database is away") {
		t.Errorf("the first load: %v", err)
	}
	if s := w.statusOf("m"); !strings.Contains(s.NotLoaded, "the database is away") || s.Loading || len(s.Errors) == 0 {
		t.Errorf("after it has failed: %+v", s)
	}
	if why := strings.Join(w.Unready(), "; "); !strings.Contains(why, "seed m is not loaded: OSError: the database is away") {
		t.Errorf("the node says %q", why)
	}
	write(t, flag, "")
	testenv.Eventually(t, 120*time.Second, "it runs", func() bool { return got.count() == 1 })
	if data := got.data(); data[0] != "0" || w.statusOf("m").Failed != 0 {
		t.Errorf("it ran as attempt %q, after %d failures", data, w.statusOf("m").Failed)
	}
}

// TestAWorkerThatCannotStart costs the packets that it was for no attempt: they wait in
// the inbox until one starts.
func TestAWorkerThatCannotStart(t *testing.T) {
	w := newFileWorld(t)
	exe := testenv.Need(t, "python3")
	interpreter := filepath.Join(t.TempDir(), "python3")
	if err := os.Symlink(exe, interpreter); err != nil {
		t.Fatal(err)
	}
	var got basket
	m := w.file(seed.Process, "A:A -> B:B", "#!"+interpreter+"\nimport sys\nfor line in sys.stdin:\n    print(line.strip(), flush=True)\n")
	m.Mode, m.Workers = seed.Lines, 1
	w.host(m, w.seed("end", "B:B ->", got.run))
	w.start()
	if err := w.Loaded(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.inject("A:A", "1", nil)
	testenv.Eventually(t, 60*time.Second, "it runs", func() bool { return got.count() == 1 })
	if err := os.Rename(interpreter, interpreter+".away"); err != nil {
		t.Fatal(err)
	}
	s := w.snap.Load().hosts["m"].slots[0]
	if !s.await(t.Context()) { // as after it had nothing to do for a while
		t.Fatal("the slot is not free")
	}
	w.closeWorker(w.snap.Load().hosts["m"], s.dismiss())
	s.release()
	for _, data := range []string{"2", "3"} {
		w.inject("A:A", data, nil)
	}
	testenv.Eventually(t, 60*time.Second, "its packets wait", func() bool {
		st := w.statusOf("m")
		return st.NotLoaded != "" && st.Stored == 2 && st.Queued == 0
	})
	if why := w.Unready(); len(why) > 0 {
		t.Errorf("the node has been ready, and says %q", why)
	}
	w.inject("A:A", "4", nil)
	if err := os.Rename(interpreter+".away", interpreter); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 60*time.Second, "they run", func() bool { return got.count() == 4 })
	if st := w.statusOf("m"); st.Failed != 0 || st.GaveUp != 0 || st.NotLoaded != "" {
		t.Errorf("at the end: %+v", st)
	}
}

// TestTheVersionCoversWhatASeedHasImported, in its status, its hops and for its peers; the status
// has its interpreter, too.
func TestTheVersionCoversWhatASeedHasImported(t *testing.T) {
	w := newFileWorld(t)
	m := w.file(seed.Python, "A:A -> B:B", "import helper\ndef run(x):\n    return x\n")
	m.Version = "0123456789ab"
	write(t, filepath.Join(filepath.Dir(m.File), "helper.py"), "")
	var got basket
	w.host(m, w.seed("end", "B:B ->", got.run))
	w.start()
	if err := w.Loaded(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.inject("A:A", "x", nil)
	testenv.Eventually(t, 60*time.Second, "it runs", func() bool { return got.count() == 1 })
	st := w.statusOf("m")
	version := st.Manifest.Version
	if !strings.HasPrefix(version, "0123456789ab.") || !strings.Contains(st.Interpreter, "(python 3.") {
		t.Errorf("the version is %q, the interpreter %q", version, st.Interpreter)
	}
	if hop := w.snap.Load().hosts["m"].extend(&packet.Packet{}, "test", time.Now()); hop.Version != version {
		t.Errorf("a hop has the version %q", hop.Version)
	}
	for _, s := range w.said.Load().card.Seeds {
		if s.Manifest.Name == "m" && s.Manifest.Version != version {
			t.Errorf("peers are told the version %q", s.Manifest.Version)
		}
	}
}

// TestTheNextVersionLoadsBesideTheOld, which goes on when the next one is broken, and
// when nobody wants that any more.
func TestTheNextVersionLoadsBesideTheOld(t *testing.T) {
	w := newFileWorld(t)
	var got basket
	m := w.file(seed.Python, "A:A -> B:B", "def run(x):\n    return 'old'\n")
	w.host(m, w.seed("end", "B:B ->", got.run))
	w.start()
	if err := w.Loaded(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	write(t, m.File, "def run(x:\n")
	next := m
	next.Version = "2"
	w.host(next)
	if err := w.Loaded(t.Context(), "m"); err == nil {
		t.Error("what is broken was loaded")
	}
	w.inject("A:A", "x", nil)
	testenv.Eventually(t, 60*time.Second, "the old one runs", func() bool { return got.count() == 1 })
	write(t, m.File, "def run(x):\n    return 'new'\n")
	next.Version = "3"
	w.host(next)
	if err := w.Loaded(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.inject("A:A", "x", nil)
	testenv.Eventually(t, 60*time.Second, "the new one runs", func() bool { return got.count() == 2 })
	if data := got.data(); !slices.Contains(data, "old") || !slices.Contains(data, "new") {
		t.Errorf("ran as %q", data)
	}
}

// A scarce runner has few workers: no more can be started.
type scarce struct {
	runner.Runner
	left atomic.Int64
}

func (s *scarce) Open(ctx context.Context) (runner.Worker, error) {
	if s.left.Add(-1) < 0 {
		return nil, errors.New("too many connections")
	}
	return s.Runner.Open(ctx)
}

// TestOneWorkerTooMany that cannot be started stops none of the others.
func TestOneWorkerTooMany(t *testing.T) {
	w := newWorld(t)
	kind := w.cfg.Kinds[seed.Process]
	w.cfg.Kinds[seed.Process] = runner.Kind{Traits: kind.Traits, Open: func(m seed.Manifest, env runner.Env) (runner.Runner, error) {
		r, err := kind.Open(m, env)
		s := &scarce{Runner: r}
		s.left.Store(2)
		return s, err
	}}
	var got basket
	m := w.seed("s", "T:S ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		time.Sleep(time.Millisecond)
		return got.run(ctx, in, emit)
	})
	m.Kind, m.Workers = seed.Process, 4
	w.host(m)
	w.start()
	for i := range 100 {
		w.inject("T:S", fmt.Sprint(i), nil)
	}
	testenv.Eventually(t, 20*time.Second, "all ran", func() bool { return got.count() == 100 })
	if st := w.statusOf("s"); st.NotLoaded != "" || st.Failed > 0 {
		t.Errorf("it says %+v", st)
	}
}

// TestThatASeedIsLoadedIsNoNews: its peers have heard of it.
func TestThatASeedIsLoadedIsNoNews(t *testing.T) {
	var j testenv.Journal
	n := New(Config{Name: "a", Store: inMemory(t, pebble.Config{}), Log: j.Log()})
	p := &peer{name: "b", Peer: quietPeer{}}
	for _, version := range []string{"1", "1.2", "1.2", "1.3", "2"} {
		n.tellSeeds(p, []mesh.Hosted{{Manifest: seed.Manifest{Name: "m", Version: version}}})
	}
	if n := j.Count("discovered seed m"); n != 3 {
		t.Errorf("%d lines, want 3:\n%s", n, j.String())
	}
}

// A quietPeer has an address.
type quietPeer struct{ mesh.Peer }

func (quietPeer) At() string { return "nowhere" }
