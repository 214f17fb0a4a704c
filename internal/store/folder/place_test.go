package folder

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestACopyIsKnown has a folder that is copied: both have one id, and the copy is seen to be
// another folder, once.
func TestACopyIsKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	other := filepath.Join(filepath.Dir(dir), "b")
	open := func(dir string) *Folder {
		t.Helper()
		f, err := Open(t.Context(), dir, Node{Name: "x", Group: "default"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := open(dir)
	if first.Moved || open(dir).Moved {
		t.Error("a folder at its place was moved")
	}
	if out, err := exec.Command("cp", "-a", dir, other).CombinedOutput(); err != nil {
		t.Fatalf("copy the folder: %v: %s", err, out)
	}
	copied := open(other)
	if !copied.Moved || open(other).Moved {
		t.Errorf("the copy was moved: %v at first; expected it then and not later", copied.Moved)
	}
	if a, b := first.Node.ID(), copied.Node.ID(); a != b || a == "" {
		t.Errorf("the ids are %q and %q; expected one", a, b)
	}
	if open(dir).Moved {
		t.Error("the original was moved")
	}
}
