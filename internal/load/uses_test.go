package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/seed"
)

// TestTheVersionCoversWhatIsUsed, and a name that stands for nothing is an error of its line.
func TestTheVersionCoversWhatIsUsed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.sh")
	write(t, path, "#!/bin/sh\n# pmk: A:A -> B:B\n# pmk-uses: words.dat\ncat words.dat\n")
	m, err := File(path)
	var at *seed.Error
	if !errors.As(err, &at) || at.Line != 3 || !strings.Contains(at.Msg, `pmk-uses: no file is called "words.dat"`) || m.File != path {
		t.Errorf("without the file: %v, %v", m, err)
	}
	if _, errs := Folder(dir); len(errs) != 1 {
		t.Errorf("of the folder: %v", errs)
	}
	write(t, filepath.Join(dir, "words.dat"), "one")
	before, err := File(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "words.dat"), "another")
	if after, err := File(path); err != nil || after.Version == before.Version {
		t.Errorf("with another file the version is still %s, %v", after.Version, err)
	}
}

// TestWhatIsUsedIsWatched: an edit of a helper, also in a folder below, of a named file, and one
// that is added to a named folder, are changes of the seed.
func TestWhatIsUsedIsWatched(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"pkg", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "s.py")
	write(t, path, "# pmk: A:A -> B:B\n# pmk-uses: words.dat data\n")
	for _, name := range []string{"words.dat", "pkg/__init__.py", "data/1"} {
		write(t, filepath.Join(dir, name), "")
	}
	uses := NewUses()
	m, err := uses.File(path)
	if err != nil {
		t.Fatal(err)
	}
	before := uses.Version(m)
	changes := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	j := &testenv.Journal{}
	go func() {
		defer close(ended)
		Watch(ctx, []string{path}, uses, func(path string) { changes <- path }, j.Log())
	}()
	// expect has the seed change, which is sooner than by looking alone.
	expect := func(what string, edit func(n int)) {
		t.Helper()
		n, last := 0, time.Time{}
		testenv.Eventually(t, lookEvery/2, what, func() bool {
			if time.Since(last) > 5*Quiet { // in between it is quiet
				for len(changes) > 0 {
					<-changes
				}
				edit(n)
				n, last = n+1, time.Now()
			}
			return len(changes) > 0
		})
	}
	to := func(name string) func(int) {
		return func(n int) { write(t, filepath.Join(dir, name), strings.Repeat("#", n+1)) }
	}
	testenv.Eventually(t, lookEvery/2, "the start", func() bool { return len(changes) > 0 })
	expect("a named file", to("words.dat"))
	expect("a file in a named folder", to("data/1"))
	expect("a file that is added there", func(n int) { write(t, filepath.Join(dir, "data", "new"+strings.Repeat("x", n)), "") })
	uses.Loaded(path, []string{filepath.Join(dir, "pkg", "__init__.py")}, "1")
	expect("a module", to("pkg/__init__.py"))
	if after := uses.Version(m); after == before || uses.Newest(path) != "1" {
		t.Errorf("the version is %s, and was %s", after, before)
	}
	uses.Loaded(path, nil, "")
	expect("a module of the load before the one that failed", to("pkg/__init__.py"))
	cancel()
	<-ended
}
