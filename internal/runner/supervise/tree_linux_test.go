package supervise

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// All of the run's process group end at once, those included that have just been started.
func TestTheProcessGroupOfARunEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // only read
	tree := &tree{}
	p, err := tree.start([]string{"/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo begun; wait"}, &os.ProcAttr{Files: []*os.File{nil, w}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill() // it may have ended
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	below := descendants(p.Pid)
	tree.kill([]process{{pid: p.Pid, group: p.Pid}})
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
	r.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := r.Read(make([]byte, 10)); err != io.EOF { // no process has it any more
		t.Errorf("they go on: %v", err)
	}
	if len(below) != 2 {
		t.Errorf("there were %v", below)
	}
}

// What does not end is waited for once, and named once.
func TestWhatDoesNotEnd(t *testing.T) {
	sudo, held := process{pid: 7, start: "1", name: "sudo", foreign: true}, process{pid: 8, start: "1", name: "cp"}
	tree := &tree{}
	for _, c := range []struct {
		there []process
		ago   time.Duration
		want  bool
	}{
		{nil, 0, true}, {nil, 2 * killTime, false},
		{[]process{sudo}, 0, true}, {[]process{sudo}, 2 * refusalTime, false},
		{[]process{held}, 2 * refusalTime, true}, {[]process{held}, 2 * killTime, false},
		{[]process{sudo, held}, 2 * refusalTime, true},
	} {
		if got := tree.mayEnd(c.there, c.ago); got != c.want {
			t.Errorf("%v after %v: %v", c.there, c.ago, got)
		}
	}
	if names := tree.noteLeft([]process{sudo}); !slices.Equal(names, []string{"sudo (process 7, of another user)"}) {
		t.Errorf("it says %q", names)
	}
	if tree.mayEnd([]process{sudo}, 0) || !tree.mayEnd([]process{sudo, held}, 0) {
		t.Error("what has stayed is waited for again, or keeps another from being waited for")
	}
	if names := tree.noteLeft([]process{sudo, held}); !slices.Equal(names, []string{"cp (process 8, which the system holds)"}) {
		t.Errorf("it says %q", names)
	}
	later := sudo
	later.start = "2"
	if !tree.mayEnd([]process{later}, 0) {
		t.Error("a later process with the number of one that has stayed is not waited for")
	}
}

// TestRemovingAGroupThatIsNone is done at once, also where nothing can be removed, as the groups
// of a container: a system that can only be read says so even of what is not there.
func TestRemovingAGroupThatIsNone(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if err := unix.Mount("none", dir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(dir, 0)
	}
	if err := removeGroup(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}
