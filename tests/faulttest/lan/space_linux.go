package lan

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// A space is a network namespace. It lasts as long as its file is mounted, or a
// process or a socket is in it.
type space struct{ file string }

// newSpace makes a namespace and mounts it on the file, which it makes as well.
func newSpace(file string) (space, error) {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return space{}, err
	}
	made := make(chan error, 1)
	go func() {
		// The thread is of another network from here on, so it ends with this
		// goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		made <- unix.Mount("/proc/thread-self/ns/net", file, "", unix.MS_BIND, "")
	}()
	if err := <-made; err != nil {
		return space{}, err
	}
	s := space{file}
	return s, s.ip("link", "set", "lo", "up")
}

func (s space) close() error { return unix.Unmount(s.file, unix.MNT_DETACH) }

// do calls f on a thread that is in the namespace: the processes that f starts and
// the sockets that it opens, on its own goroutine, are there.
func (s space) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and it ends with this goroutine
		done <- s.enter(f)
	}()
	return <-done
}

func (s space) enter(f func() error) error {
	fd, err := unix.Open(s.file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the network namespace %s: %w", s.file, err)
	}
	err = unix.Setns(fd, unix.CLONE_NEWNET)
	unix.Close(fd) // only read
	if err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", s.file, err)
	}
	return f()
}

// ip runs the command ip there.
func (s space) ip(args ...string) error {
	return s.do(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w: %s", args, err, out)
		}
		return nil
	})
}
