package inject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/packet"
)

// putBelow writes a file, and makes the folders that it lies in.
func putBelow(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, path, text)
}

// TestSubFolders: files in them are taken and refused as others are, keep their folder in
// their name and where they move to, and what lies elsewhere is not looked into.
func TestSubFolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{most: 5}
		dir, outside := t.TempDir(), t.TempDir()
		f, _ := folder(t, Config{State: state, Dir: dir, Apart: []string{filepath.Join(dir, "apart")}}, n)
		put(t, filepath.Join(outside, "secret"), "no")
		if err := os.Symlink(outside, f.path("link")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".hidden/x", "up.part/x", "apart/x"} {
			putBelow(t, f.path(name), "no")
		}
		names := []string{"a", "s/a", "s/t/a", "s/t/b", "u/a"}
		for i, name := range names {
			putBelow(t, f.path(name), fmt.Sprint(i))
			at := time.Unix(1e9+int64(i), 0)
			if err := os.Chtimes(f.path(name), at, at); err != nil {
				t.Fatal(err)
			}
		}
		putBelow(t, f.path("s/t/bad"), "too long")
		notices, stop := follow(t, f)
		after(3 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
			t.Fatalf("took %q", got)
		}
		for i, name := range names {
			if got := n.took[i].Extra.Attributes[packet.FileAttribute]; got != name {
				t.Errorf("file %q; expected %q", got, name)
			}
			if there(f.path(name)) || !there(f.path(".done/"+name)) {
				t.Errorf("%s is not in .done", name)
			}
		}
		if !there(f.path(".bad/s/t/bad")) || !there(f.path(".bad/s/t/bad.why.txt")) {
			t.Error("what is bad is not in .bad")
		}
		// The same name again, in a folder that has just come, of which one notice tells.
		putBelow(t, f.path("s/t/a"), "again")
		putBelow(t, f.path("new/er/a"), "new")
		notices <- notice{entered, "new"}
		notices <- notice{completed, "s/t/a"}
		notices <- notice{entered, ".hidden"}
		notices <- notice{entered, "link"}
		notices <- notice{entered, "apart"}
		after(3 * time.Second)
		if got := n.data()[5:]; !slices.Equal(slices.Sorted(slices.Values(got)), []string{"again", "new"}) || n.took[5].ID == n.took[2].ID {
			t.Errorf("then took %q", got)
		}
		if got, want := f.Counts(), (Counts{Taken: 7, Refused: 1, Left: 1}); got != want {
			t.Errorf("counted %+v; expected %+v", got, want)
		}
		end(t, stop)
	})
}

// TestAFolderBecomesALink: what a link leads to is not taken that has been put in the place
// of a folder since it was looked into.
func TestAFolderBecomesALink(t *testing.T) {
	for _, size := range []int{10, smallFile + 1} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			f, _ := folder(t, Config{State: state}, n)
			outside := filepath.Join(t.TempDir(), "outside")
			putBelow(t, f.path("s/x"), strings.Repeat("x", size))
			_, stop := follow(t, f)
			if err := errors.Join(os.Rename(f.path("s"), outside), os.Symlink(outside, f.path("s"))); err != nil {
				t.Fatal(err)
			}
			after(time.Minute)
			if got := n.data(); len(got) != 0 || !there(filepath.Join(outside, "x")) {
				t.Errorf("took %d files", len(got))
			}
			end(t, stop)
		})
	}
}

// TestEventsOfSubFolders: the watcher tells of a new folder, then of what happens in it, and
// of that also after it was moved.
func TestEventsOfSubFolders(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere no event tells")
	}
	dir := t.TempDir()
	w, err := watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, polls := w.(poller); polls {
		t.Skip("the system has no inotify instance left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	notices, ended := make(chan notice), make(chan error, 1)
	go func() { ended <- w.run(ctx, notices) }()
	at := func(name string) string { return filepath.Join(dir, name) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(want notice) {
		t.Helper()
		for deadline := time.After(within); ; {
			select {
			case got := <-notices:
				if got == want {
					return
				}
			case <-deadline:
				t.Fatalf("nothing told %+v", want)
			}
		}
	}
	do(os.Mkdir(at("s"), 0o755))
	want(notice{entered, "s"})
	do(w.add("s"))
	do(w.add("s"))
	do(os.Mkdir(at("s/t"), 0o755))
	want(notice{entered, "s/t"})
	do(w.add("s/t"))
	put(t, at("s/t/x"), "x")
	want(notice{completed, "s/t/x"})
	do(os.Rename(at("s"), at("moved")))
	want(notice{entered, "moved"})
	want(notice{what: missed})
	do(w.add("moved"))
	do(w.add("moved/t"))
	put(t, at("moved/t/y"), "y")
	want(notice{completed, "moved/t/y"})
	do(os.RemoveAll(at("moved")))
	put(t, at("z"), "z")
	want(notice{completed, "z"})
	do(w.add("gone"))
	cancel()
	do(<-ended)
}

// TestDeepFolders: beyond a depth nothing is looked into, and that is said.
func TestDeepFolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, j := folder(t, Config{State: state}, n)
		deep := strings.Repeat("d/", maxDepth)
		putBelow(t, f.path(deep+"x"), "deep")
		putBelow(t, f.path(deep+"d/x"), "too deep")
		_, stop := follow(t, f)
		after(3 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"deep"}) || j.Count("left alone", "it lies too deep") != 1 {
			t.Errorf("took %q\n%s", got, j)
		}
		end(t, stop)
	})
}
