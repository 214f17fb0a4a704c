package runnertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk that is mounted after a worker has started is seen by its runs, and one that is unmounted
// is not written to any more; what a run mounts is not seen outside.
func TestMountsAreThoseOfTheMachine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	mount := func(at string) {
		t.Helper()
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("pmk-test", at, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("needs to mount: ", err)
		}
	}
	unmount := func(at string) {
		t.Helper()
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
	mount(dir)
	t.Cleanup(func() { unmount(dir) })
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil { // as systemd has all of them
		t.Skip("needs mounts that are shared: ", err)
	}
	disk := filepath.Join(dir, "disk")
	own := filepath.Join(dir, "own")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	b := shell(t, "grep -c ' "+disk+" ' /proc/self/mountinfo; mount -t tmpfs none "+own+" && touch "+own+"/seen; ls "+own, 0, nil)
	w := b.worker()
	expect := func(count string) {
		t.Helper()
		sink, err := b.run(w, "x")
		if err != nil || len(sink.Outs) != 1 {
			t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
		}
		if got := strings.Join(strings.Fields(sink.Outs[0].Data), " "); got != count+" seen" {
			t.Errorf("the run sees %q, want %q mounts of the disk and its own", got, count)
		}
	}
	expect("0")
	mount(disk)
	expect("1")
	unmount(disk)
	expect("0")
	if files, err := os.ReadDir(own); err != nil || len(files) > 0 {
		t.Errorf("outside is seen what a run has mounted: %v, %v", files, err)
	}
}
