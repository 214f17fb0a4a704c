package supervise

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A group is a control group (of version 2) that this process is in, with all that it starts. The
// kernel ends all of a group at once, whatever happens there, and whoever its processes belong to.
// A process may make one below its own: as root, or where that was handed over to its user
// (Delegate=yes of systemd).
//
// Nothing is started into a group from outside: some versions of Linux kill that at once if only
// one of both groups was ended before.
type group struct{ path string }

// groupPath is where a new group would be; "" where there are none of version 2.
func groupPath() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		own, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			var fs unix.Statfs_t
			if unix.Statfs(root, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
				return filepath.Join(root, own, "pmk-"+rand.Text())
			}
		}
	}
	return ""
}

// enterNewGroup makes the group at path and has this process enter it; nil where it may not.
func enterNewGroup(path string) *group {
	if path == "" || os.Mkdir(path, 0o755) != nil {
		return nil
	}
	g := &group{path}
	if unix.Access(g.file("cgroup.kill"), unix.W_OK) != nil || g.enter() != nil { // since Linux 5.14
		removeGroup(path) // one that stays is empty
		return nil
	}
	return g
}

func (g *group) file(name string) string { return filepath.Join(g.path, name) }

func (g *group) enter() error { return write(g.file("cgroup.procs"), "0") }

func (g *group) leave() error { return write(filepath.Join(filepath.Dir(g.path), "cgroup.procs"), "0") }

// endOthers kills all other processes of the group.
func (g *group) endOthers() {
	if g == nil || g.leave() != nil {
		return
	}
	write(g.file("cgroup.kill"), "1") // what is left is found otherwise
	g.enter()                         // or what is started from now on is
}

// close leaves the group and removes it.
func (g *group) close() {
	if g != nil && g.leave() == nil {
		endGroup(g.path)
	}
}

// endGroup kills all processes of the group at path, where there is one, and removes it.
func endGroup(path string) {
	if path == "" {
		return
	}
	end := time.Now().Add(refusalTime)
	for pause := time.Millisecond; removeGroup(path) != nil && time.Now().Before(end); pause = min(2*pause, longestPause) {
		write(filepath.Join(path, "cgroup.kill"), "1") // it may just have gone
		time.Sleep(pause)
	}
}

// removeGroup removes a group and those that a run has made in it, unless one has processes.
func removeGroup(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // where nothing can be written, removing it would say that instead
	}
	if err := unix.Rmdir(path); err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	below, _ := os.ReadDir(path) // the error below says more
	for _, entry := range below {
		if entry.IsDir() {
			removeGroup(filepath.Join(path, entry.Name())) // or the next error says so
		}
	}
	return unix.Rmdir(path)
}

// write writes to a file of the system's, which is there.
func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
