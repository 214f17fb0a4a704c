package blob

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestSweepLeavesWhatIsWritten sweeps while large data comes in: what an
// earlier process left goes, and what is being written stays.
func TestSweepLeavesWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "new-left")
	if err := os.WriteFile(left, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(Config{Dir: dir, Sync: true})
	r, w := io.Pipe()
	put := make(chan error, 1)
	go func() {
		_, err := s.Put(t.Context(), r, 100)
		put <- err
	}()
	if _, err := io.WriteString(w, "some"); err != nil { // the file is there once it is read
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what an earlier process left is still there")
	}
	w.Close()
	if err := <-put; err != nil {
		t.Error(err)
	}
}
