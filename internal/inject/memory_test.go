package inject

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
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// recalling is a network whose store lives longer than its folders.
func recalling(t *testing.T) *network {
	s := pebble.InMemory(pebble.Config{})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &network{store: s}
}

// remembers counts what is remembered.
func (n *network) remembers(t *testing.T) (count int) {
	t.Helper()
	err := n.store.Scan(t.Context(), watchedTable, "", func(string, []byte) bool {
		count++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// wantNext waits and says what is wrong with what was taken since.
func (n *network) wantNext(t *testing.T, wait time.Duration, want ...string) {
	t.Helper()
	after(wait)
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []string
	for _, p := range n.took {
		got = append(got, p.Data)
	}
	n.took = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("took %.40q; expected %.40q", got, want)
	}
}

// TestWatchedFilesAreTakenOnce: they stay, are taken once over many starts, and again when
// they have changed.
func TestWatchedFilesAreTakenOnce(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("large", smallFile)
	synctest.Test(t, func(t *testing.T) {
		n := recalling(t)
		begin := func() (*Folder, chan<- notice, func() error) {
			f, _ := folder(t, Config{Dir: dir, State: state, Memory: n.store}, n)
			notices, stop := follow(t, f)
			return f, notices, stop
		}
		at := func(name string) string { return filepath.Join(dir, name) }
		put(t, at("a"), "a")
		putBelow(t, at("s/b"), "b")
		put(t, at("large"), large)
		f, notices, stop := begin()
		n.wantNext(t, 3*time.Second, "a", "b", large)
		n.wantNext(t, time.Minute)
		for _, name := range []string{"a", "s/b", "large"} {
			if !there(at(name)) {
				t.Errorf("%s has moved", name)
			}
		}
		if got := names(t, dir); len(got) != 3 {
			t.Errorf("the folder has %q", got)
		}
		if got, want := f.Counts(), (Counts{Taken: 3}); got != want {
			t.Errorf("counted %+v; expected %+v", got, want)
		}
		notices <- notice{completed, "a"}
		n.wantNext(t, time.Minute)
		end(t, stop)

		_, notices, stop = begin()
		n.wantNext(t, time.Minute)
		put(t, at("a"), "a, changed")
		notices <- notice{completed, "a"}
		n.wantNext(t, 3*time.Second, "a, changed")
		put(t, at("s/b"), "b, changed") // nothing tells
		n.wantNext(t, 13*time.Second, "b, changed")
		put(t, at("large"), large+"changed")
		n.wantNext(t, 13*time.Second, large+"changed")
		n.wantNext(t, time.Minute)

		// Another time alone is no change, where all of the content is compared; nor are
		// other rights.
		for _, name := range []string{"a", "large"} {
			if err := os.Chmod(at(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		then := time.Unix(1e9, 0)
		if err := os.Chtimes(at("a"), then, then); err != nil {
			t.Fatal(err)
		}
		n.wantNext(t, time.Minute)
		// A file of the same size and time in its place is one.
		put(t, at("new"), "A, CHANGED")
		for status(t, at("new")) == status(t, at("a")) { // the system's clock is coarse
			if err := os.Chtimes(at("new"), then, then); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(at("new"), at("a")); err != nil {
			t.Fatal(err)
		}
		n.wantNext(t, 13*time.Second, "A, CHANGED")
		end(t, stop)
		if got := n.remembers(t); got != 3 {
			t.Errorf("%d files are remembered", got)
		}
	})
}

// status is when a file's data, names or rights changed last.
func status(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return statOf("", info).status
}

// TestWhatWasNotTakenIsNotRemembered: a node that dies over a file takes it again, with the
// id that it had.
func TestWhatWasNotTakenIsNotRemembered(t *testing.T) {
	for _, size := range []int{10, smallFile + 1} {
		dir, text := t.TempDir(), strings.Repeat("x", size)
		synctest.Test(t, func(t *testing.T) {
			n := recalling(t)
			put(t, filepath.Join(dir, "x"), text)
			first := &network{dies: true} // before the store has anything
			f, _ := folder(t, Config{Dir: dir, State: state, Memory: n.store}, first)
			_, stop := follow(t, f)
			after(3 * time.Second)
			if err := stop(); !errors.Is(err, errNoMore) {
				t.Errorf("the first ended with %v", err)
			}
			f, _ = folder(t, Config{Dir: dir, State: state, Memory: n.store}, n)
			_, stop = follow(t, f)
			after(3 * time.Second)
			if len(n.took) != 1 || len(first.took) != 1 || n.took[0].ID != first.took[0].ID {
				t.Errorf("first %d, then %d packets", len(first.took), len(n.took))
			}
			end(t, stop)
		})
	}
}

// TestBadWatchedFiles: what cannot be taken stays, is said once, and is tried again when it
// has changed.
func TestBadWatchedFiles(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := recalling(t)
		n.most = 5
		f, j := folder(t, Config{Dir: dir, State: state, Memory: n.store}, n)
		put(t, f.path("x"), "too long")
		put(t, f.path("y"), "y")
		_, stop := follow(t, f)
		n.wantNext(t, time.Minute, "y")
		if got, want := f.Counts(), (Counts{Taken: 1, Refused: 1}); got != want || j.Count("a bad file is not taken") != 1 {
			t.Errorf("counted %+v; expected %+v\n%s", got, want, j)
		}
		put(t, f.path("x"), "short")
		n.wantNext(t, 13*time.Second, "short")
		if got := names(t, dir); !slices.Equal(got, []string{"x", "y"}) {
			t.Errorf("the folder has %q", got)
		}
		end(t, stop)
	})
}

// TestGoneFilesAreForgotten: in time, and not while their disk may only be away.
func TestGoneFilesAreForgotten(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := recalling(t)
		f, _ := folder(t, Config{Dir: dir, State: state, Memory: n.store}, n)
		putBelow(t, f.path("s/away"), "away")
		put(t, f.path("stays"), "stays")
		_, stop := follow(t, f)
		n.wantNext(t, 3*time.Second, "away", "stays")
		aside := filepath.Join(t.TempDir(), "aside")
		if err := os.Rename(f.path("s"), aside); err != nil {
			t.Fatal(err)
		}
		after(forgetAfter - time.Hour)
		if got := n.remembers(t); got != 2 {
			t.Errorf("%d files are remembered after some days", got)
		}
		if err := os.Rename(aside, f.path("s")); err != nil {
			t.Fatal(err)
		}
		n.wantNext(t, 3*time.Hour)
		if err := os.RemoveAll(f.path("s")); err != nil {
			t.Fatal(err)
		}
		after(forgetAfter - time.Hour)
		if got := n.remembers(t); got != 2 {
			t.Errorf("%d files are remembered: one that came back counts as gone since it was gone first", got)
		}
		after(4 * time.Hour)
		if got := n.remembers(t); got != 1 {
			t.Errorf("%d files are remembered in the end; expected the one that is there", got)
		}
		end(t, stop)
	})
}

// TestMoreGoneFilesThanOneTransaction is of a number beyond forgetBatch.
func TestMoreGoneFilesThanOneTransaction(t *testing.T) {
	n := recalling(t)
	m := newMemory(n.store, "", "/watched")
	other := newMemory(n.store, "another machine", "/watched")
	tx := new(store.Tx)
	const files = 2*forgetBatch + 1
	for i := range files {
		tx.Put = append(tx.Put, m.record(&remembered{name: fmt.Sprint(i)}), other.record(&remembered{name: fmt.Sprint(i)}))
	}
	if err := n.store.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	nowhere := func(name string) string { return filepath.Join(t.TempDir(), name) }
	for i, want := range []int{2 * files, files} {
		if err := m.forget(t.Context(), 1+int64(i)*int64(forgetAfter), nowhere); err != nil {
			t.Fatal(err)
		}
		if got := n.remembers(t); got != want {
			t.Errorf("%d are remembered; expected %d", got, want)
		}
	}
}

// TestTheMemoryFails: nothing is taken meanwhile, one line says so, and all is once it works.
func TestTheMemoryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := recalling(t)
		broken := &brokenMemory{Memory: n.store}
		broken.is.Store(true)
		f, j := folder(t, Config{State: state, Memory: broken}, n)
		put(t, f.path("x"), "x")
		put(t, f.path("y"), "y")
		_, stop := follow(t, f)
		n.wantNext(t, time.Minute)
		if got := j.Count("were taken cannot be read or written"); got != 1 {
			t.Errorf("%d lines\n%s", got, j)
		}
		broken.is.Store(false)
		n.wantNext(t, 23*time.Second, "x", "y")
		broken.is.Store(true) // of files that are as they were it is not asked again
		n.wantNext(t, time.Minute)
		if got := j.Count("were taken cannot be read or written"); got != 1 {
			t.Errorf("%d lines\n%s", got, j)
		}
		end(t, stop)
	})
}

// A brokenMemory cannot be read for a while.
type brokenMemory struct {
	Memory
	is atomic.Bool
}

func (b *brokenMemory) Get(ctx context.Context, key store.Key) ([]byte, bool, error) {
	if b.is.Load() {
		return nil, false, store.ErrBroken
	}
	return b.Memory.Get(ctx, key)
}

func TestWatchedFolderMustBeThere(t *testing.T) {
	n := recalling(t)
	for _, dir := range []string{filepath.Join(t.TempDir(), "missing"), os.Args[0]} {
		_, err := New(Config{Dir: dir, State: state, Memory: n.store}, n)
		if err == nil || !strings.Contains(err.Error(), "the watched folder "+dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestRememberedReads what was written, whatever the numbers, and refuses what is cut off.
func TestRememberedReads(t *testing.T) {
	m := newMemory(nil, "", "/watched")
	want := remembered{size: 1 << 40, changed: -5, status: 6, gone: 7, content: packet.NewID(), name: "s/\xff\n"}
	record := m.record(&want)
	if got, ok := readRemembered(record.Value); !ok || got != want {
		t.Errorf("%+v, %v; expected %+v", got, ok, want)
	}
	if err := record.Check(); err != nil {
		t.Error(err)
	}
	for cut := range 48 {
		if _, ok := readRemembered(record.Value[:cut]); ok {
			t.Errorf("%d bytes are read", cut)
		}
	}
}

// TestWatchedInRealTime: events tell of files in folders that come while the node runs.
func TestWatchedInRealTime(t *testing.T) {
	n := recalling(t)
	f, _ := folder(t, Config{State: state, Memory: n.store, Quiet: atOnce}, n)
	start(t, f)
	for i := range 20 {
		putBelow(t, f.path(fmt.Sprintf("run%d/lane/x", i)), fmt.Sprint(i))
	}
	testenv.Eventually(t, within, "all are taken", func() bool { return len(n.data()) == 20 })
	put(t, f.path("run3/lane/x"), "again")
	testenv.Eventually(t, within, "the changed one is taken", func() bool { return slices.Contains(n.data(), "again") })
}
