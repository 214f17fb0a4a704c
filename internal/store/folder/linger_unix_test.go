//go:build unix

package folder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLinger has a lock outlive its process for a moment, as it does when that
// was killed while it started another.
func TestLinger(t *testing.T) {
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, ended.Process.Pid)
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	time.AfterFunc(linger/20, func() { released <- unix.Flock(int(f.Fd()), unix.LOCK_UN) })
	unlock, err := Lock(dir)
	if err := <-released; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatalf("a lock that lingers: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
