package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// within is how long a test waits for what should happen soon.
const within = 20 * time.Second

// network is a network that remembers what it took.
type network struct {
	mu   sync.Mutex
	took []packet.Packet
	most int  // bytes of data of a packet; 0 is no bound
	dies bool // once it has taken something, before that is known
	// store, unless nil, has the records of what was taken.
	store store.Store
}

func (n *network) Inject(ctx context.Context, p packet.Packet) error { return n.take(ctx, p, nil) }

func (n *network) take(ctx context.Context, p packet.Packet, with []store.Record) error {
	if n.most > 0 && len(p.Data) > n.most {
		return fmt.Errorf("%w: it has %d bytes; at most %d are allowed", packet.ErrTooLarge, len(p.Data), n.most)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.took = append(n.took, p)
	if n.store != nil {
		if err := n.store.Commit(ctx, &store.Tx{Put: with}); err != nil {
			return err
		}
	}
	if n.dies {
		return errNoMore
	}
	return nil
}

func (n *network) InjectData(ctx context.Context, p packet.Packet, r io.Reader, _ int64, with ...store.Record) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	p.Data = string(data)
	return n.take(ctx, p, with)
}

func (n *network) Batch() Batch { return together{n.take} }

// together is a batch of which each packet is safe at once.
type together struct {
	inject func(context.Context, packet.Packet, []store.Record) error
}

// alone is one of a network that remembers nothing.
func alone(inject func(context.Context, packet.Packet) error) together {
	return together{func(ctx context.Context, p packet.Packet, _ []store.Record) error { return inject(ctx, p) }}
}

func (b together) Put(ctx context.Context, p packet.Packet, with ...store.Record) error {
	return b.inject(ctx, p, with)
}

func (b together) Flush(context.Context) error { return nil }

func (b together) Stored(context.Context, packet.ID) (bool, error) { return true, nil }

// data lists the data of what was taken, in order.
func (n *network) data() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var data []string
	for _, p := range n.took {
		data = append(data, p.Data)
	}
	return data
}

// make a folder for a test, of packets of one state unless cfg says otherwise.
func folder(t *testing.T, cfg Config, into Injector) (*Folder, *testenv.Journal) {
	t.Helper()
	j := &testenv.Journal{}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Log = slog.New(slog.NewTextHandler(j, nil))
	f, err := New(cfg, into)
	if err != nil {
		t.Fatal(err)
	}
	return f, j
}

// atOnce is the [Config.Quiet] of tests in real time.
const atOnce = -1

// start runs the folder until the test ends, or until stop is called.
func start(t *testing.T, f *Folder) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

// ready waits until the folder is watched: a file that is moved in is taken.
func ready(t *testing.T, f *Folder, n *network) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "f")
	testenv.Eventually(t, within, "the folder is watched", func() bool {
		put(t, outside, "ready")
		if err := os.Rename(outside, f.path("ready")); err != nil {
			t.Fatal(err)
		}
		return len(n.data()) > 0
	})
	testenv.Eventually(t, within, "the first file has moved away", func() bool { return !there(f.path("ready")) })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.took = nil
}

// put writes a file.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// names lists a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

const state = packet.State("String:UNGREETED")

func TestClosedAndMovedIn(t *testing.T) {
	n := &network{}
	f, _ := folder(t, Config{State: state, Quiet: atOnce}, n)
	start(t, f)
	ready(t, f, n)

	slow, err := os.Create(f.path("slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := slow.WriteString("first half, "); err != nil {
		t.Fatal(err)
	}
	put(t, f.path("quick"), "quick")
	testenv.Eventually(t, within, "the file that was closed is taken", func() bool { return len(n.data()) == 1 })
	if _, err := slow.WriteString("second half"); err != nil {
		t.Fatal(err)
	}
	if err := slow.Close(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, within, "the slow file is taken", func() bool { return len(n.data()) == 2 })
	if got := n.data(); got[0] != "quick" || got[1] != "first half, second half" {
		t.Errorf("took %q", got)
	}
	testenv.Eventually(t, within, "both files have moved away", func() bool {
		return !there(f.path("quick")) && !there(f.path("slow"))
	})
	for _, p := range n.took {
		if p.State != state || p.ID.IsZero() {
			t.Errorf("packet %+v; expected the state %s and an id", p, state)
		}
	}
}

func TestOrderAndEmptyAndBinary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state}, n)
		notices, stop := follow(t, f)
		for i, data := range []string{"b", "", "\x00\xff", "a"} {
			name := string(rune('z' - i))
			put(t, f.path(name), data)
			notices <- notice{completed, name}
		}
		after(59 * time.Second)
		want := []string{"b", "\x00\xff", "a"}
		if got := n.data(); !slices.Equal(got, want) {
			t.Errorf("took %q; expected %q, in the order of their closing", got, want)
		}
		after(time.Second)
		if got := n.data(); !slices.Equal(got, append(want, "")) {
			t.Errorf("took %q; expected the empty one after a minute", got)
		}
		end(t, stop)
	})
}

// TestWhatIsLeftAlone: each kind of it is one line with a count, and another when there
// are many more.
func TestWhatIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{most: 5}
		f, j := folder(t, Config{State: state}, n)
		for _, name := range []string{".hidden", "x.tmp", "x.PART", "x~", "#x#"} {
			put(t, f.path(name), "no")
		}
		outside := filepath.Join(t.TempDir(), "secret")
		put(t, outside, "no")
		links := func(from, to int) {
			for i := from; i < to; i++ {
				if err := os.Symlink(outside, f.path(fmt.Sprint("link", i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		links(0, 300)
		if err := os.Mkdir(f.path("sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(f.path("pipe"), 0o644); err != nil {
			t.Fatal(err)
		}
		put(t, f.path("taken"), "yes")
		put(t, f.path("refused"), "too long")
		notices, stop := follow(t, f)
		notices <- notice{completed, "link7"}
		after(time.Minute)
		if got := n.data(); !slices.Equal(got, []string{"yes"}) {
			t.Errorf("took %q; expected one file alone", got)
		}
		for _, line := range [][]string{{"files are left alone", "a symbolic link", "files=300"}, {"files are left alone", "what is not a regular file", "files=1"}} {
			if c := j.Count(line...); c != 1 {
				t.Errorf("%d lines of %q; expected one\n%s", c, line, j)
			}
		}
		links(300, 400)
		after(time.Minute)
		links(400, 600)
		after(time.Minute)
		if c := j.Count("left alone", "a symbolic link"); c != 2 || j.Count("left alone", "files=600") != 1 {
			t.Errorf("%d lines of links; expected a second one for 600\n%s", c, j)
		}
		if c := j.Count("left alone"); c != 3 {
			t.Errorf("%d lines of what is left alone\n%s", c, j)
		}
		if got, want := f.Counts(), (Counts{Taken: 1, Refused: 1, Left: 601}); got != want {
			t.Errorf("counted %+v; expected %+v", got, want)
		}
		for _, name := range []string{".hidden", "x.tmp", "x.PART", "x~", "#x#", "link0", "sub", "pipe"} {
			if !there(f.path(name)) {
				t.Errorf("%s was moved", name)
			}
		}
		end(t, stop)
	})
}

// TestTooLarge puts a file into the folder that the network does not take: it
// is refused alone.
func TestTooLarge(t *testing.T) {
	n := &network{most: 10}
	f, j := folder(t, Config{State: state, Quiet: atOnce, MaxSize: 5}, n) // which is for .pkt files
	start(t, f)
	ready(t, f, n)
	put(t, f.path("ten"), "0123456789")
	put(t, f.path("eleven"), "0123456789a")
	put(t, f.path("after"), "after")
	testenv.Eventually(t, within, "the others are taken", func() bool { return len(n.data()) == 2 })
	why, err := os.ReadFile(filepath.Join(f.Dir(), badDir, "eleven.why.txt"))
	if err != nil || !strings.Contains(string(why), "11 bytes; at most 10") || !strings.Contains(string(why), f.path("eleven")) {
		t.Errorf("the text beside the bad file is %q, %v", why, err)
	}
	if moved, err := os.ReadFile(filepath.Join(f.Dir(), badDir, "eleven")); err != nil || string(moved) != "0123456789a" {
		t.Errorf("the bad file is %q, %v", moved, err)
	}
	if c := j.Count("bad file", "11 bytes"); c != 1 {
		t.Errorf("%d lines on the bad file; expected one", c)
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	n := &network{most: 5}
	f, _ := folder(t, Config{State: state, Quiet: atOnce}, n)
	start(t, f)
	ready(t, f, n)
	for _, data := range []string{"one", "two", "three"} {
		put(t, f.path("x.csv"), data)
		testenv.Eventually(t, within, "the file is moved", func() bool { return !there(f.path("x.csv")) })
	}
	for _, data := range []string{"too long 1", "too long 2"} {
		put(t, f.path("x.csv"), data)
		testenv.Eventually(t, within, "the bad file is moved", func() bool { return !there(f.path("x.csv")) })
	}
	read := func(sub string) (texts []string) {
		for _, name := range names(t, f.path(sub)) {
			if name == "ready" || strings.HasPrefix(name, "ready.") || strings.HasSuffix(name, whyEnd) {
				continue
			}
			if !strings.HasPrefix(name, "x.") || !strings.HasSuffix(name, ".csv") {
				t.Errorf("a file in %s is named %s; expected x.DIGITS.csv", sub, name)
			}
			text, err := os.ReadFile(filepath.Join(f.path(sub), name))
			if err != nil {
				t.Fatal(err)
			}
			if sub == badDir && !there(filepath.Join(f.path(sub), name+whyEnd)) {
				t.Errorf("beside %s stands no reason", name)
			}
			texts = append(texts, string(text))
		}
		slices.Sort(texts)
		return texts
	}
	if got := read(doneDir); !slices.Equal(got, []string{"one", "three", "two"}) {
		t.Errorf("%s holds %q", doneDir, got)
	}
	if got := read(badDir); !slices.Equal(got, []string{"too long 1", "too long 2"}) {
		t.Errorf("%s holds %q", badDir, got)
	}
}

func TestFolderGoesAndComes(t *testing.T) {
	n := &network{}
	dir := filepath.Join(t.TempDir(), "a", "rx")
	f, j := folder(t, Config{Dir: dir, State: state, Quiet: atOnce}, n)
	start(t, f)
	ready(t, f, n)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, within, "the loss is told", func() bool { return j.Count("rx folder is gone") == 1 })
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, f.path("x"), "back")
	testenv.Eventually(t, within, "the file in the new folder is taken", func() bool { return len(n.data()) == 1 })
	if c := j.Count("rx folder is back"); c != 1 {
		t.Errorf("%d lines on the return; expected one", c)
	}
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, within, "the renaming is told", func() bool { return j.Count("rx folder is gone") == 2 })
}

func TestNewRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	put(t, file, "")
	if _, err := New(Config{Dir: file}, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as the folder: %v; expected an error that names it", err)
	}
	if _, err := New(Config{Dir: t.TempDir(), State: "RAW"}, nil); err == nil || !strings.Contains(err.Error(), `"RAW" has no colon`) {
		t.Errorf("a wrong state: %v; expected what the grammar says", err)
	}
	if _, err := New(Config{Dir: "/proc/self"}, nil); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("a folder that cannot be written: %v", err)
	}
}

func TestParseArgument(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a=b")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ arg, dir, state, err string }{
		{"/tmp/rx", "/tmp/rx", "", ""},
		{"/tmp/rx=String:RAW", "/tmp/rx", "String:RAW", ""},
		{"a=b=String:RAW", "a=b", "String:RAW", ""},
		{odd, odd, "", ""},
		{"/tmp/rx=RAW", "", "", "no colon"},
		{"/tmp/rx=", "", "", "expected DIR or DIR=Type:STATE"},
		{"=String:RAW", "", "", "no folder"},
	} {
		dir, state, err := ParseArgument(c.arg)
		if dir != c.dir || string(state) != c.state || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %q, %v; expected %q, %q, %q", c.arg, dir, state, err, c.dir, c.state, c.err)
		}
	}
}
