package worker

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What a killed node has left is removed, what a living one uses is not.
func TestSweep(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	used, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	left, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(tmp, "other")
	for _, dir := range []string{filepath.Join(left.Name(), "work"), other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	left.Close()                                              // as the node's end does
	elsewhere := filepath.Join(tmp, folderPrefix+"another-1") // of another machine that shares the folder
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(tmp, folderPrefix+"link")); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]bool{used.Name(): true, left.Name(): false, other: true, elsewhere: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v; it is to be there: %v", path, err, want)
		}
	}
}

// A folder that is being made is never swept from under its maker.
func TestSweepWhileFoldersAreMade(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var group sync.WaitGroup
	defer group.Wait()
	for range 200 {
		group.Go(func() {
			if err := Sweep(); err != nil {
				t.Error(err)
			}
		})
		file, err := newFolder()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file.Name()); err != nil {
			t.Error(err)
		}
		defer file.Close()
	}
}
