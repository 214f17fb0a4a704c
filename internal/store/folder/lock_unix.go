//go:build unix

package folder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile is held by the process that has the folder.
const lockFile = ".lock"

// linger is how long the lock of a process that was killed may last: what it
// was about to start has it, too, until that begins or ends.
const linger = time.Second

// holder is the process that has the lock, 0 if it is not known.
func holder(f *os.File) int {
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0) // at most io.EOF, mostly
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	return pid
}

// dead tells whether there is surely no such process.
func dead(pid int) bool { return pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

// Lock takes the folder for this process, until unlock is called or the
// process ends, however it ends. A folder that another has is an
// [*InUseError].
func Lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder %s: %w; choose another with --data DIR", dir, access(err))
	}
	for late := time.Now().Add(linger); ; time.Sleep(linger / 100) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close() // the first error says more
			return nil, fmt.Errorf("lock the folder %s: %w; choose another with --data DIR", dir, err)
		}
		if pid := holder(f); !dead(pid) || time.Now().After(late) {
			f.Close() // it was only read
			return nil, &InUseError{Dir: dir, PID: pid}
		}
	}
	// Whoever had it may have removed or renamed it since the file was opened:
	// then this is the lock of nothing.
	mine, err := f.Stat()
	if err == nil {
		var now os.FileInfo
		if now, err = os.Stat(f.Name()); err == nil && !os.SameFile(mine, now) {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		f.Close() // nothing was written
		return nil, fmt.Errorf("lock the folder %s: %w; choose another with --data DIR", dir, err)
	}
	// The number is for people; the lock does not depend on it.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f.Close, nil
}
