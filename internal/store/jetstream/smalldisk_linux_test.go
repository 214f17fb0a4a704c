package jetstream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a folder on a file system of that size.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no small disk: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestTallyOnAFullDisk reads a tally that cannot be written anew, and notes what
// there is no room for: the next process reads what there was room for.
func TestTallyOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 64<<10)
	path := filepath.Join(dir, tallyFile)
	tl := reopen(t, path, 0)
	for i := range uint64(100) {
		tl.lease(key{"in.a", i + 1})
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write([]byte{0})
	}
	if filler.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	tl = reopen(t, path, 0)
	for i := range uint64(1000) {
		tl.lease(key{"in.b", i + 1})
	}
	tl = reopen(t, path, 0)
	if tl.highest["in.a"] != 100 || tl.highest["in.b"] == 0 || tl.highest["in.b"] == 1000 {
		t.Errorf("the numbers go to %v", tl.highest)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	tl.lease(key{"in.c", 5})
	if tl = reopen(t, path, 0); tl.highest["in.a"] != 100 || tl.highest["in.c"] != 5 {
		t.Errorf("with room again, the numbers go to %v", tl.highest)
	}
}
