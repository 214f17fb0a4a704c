package inject

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What is asked of inotify: a file that is complete, a file that is there (a
// hard link or a symbolic one tells nothing more), and the folder's own end.
const (
	closes  = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO
	ends    = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_UNMOUNT | unix.IN_IGNORED
	watched = closes | unix.IN_CREATE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
)

// inotify is the watcher of Linux. fsnotify, which is used elsewhere, does not
// tell when a file is closed.
type inotify struct{ file *os.File }

// watch makes the watcher of a folder. Where that cannot be had, since the user's
// inotify instances or watches are used up for instance, it is one that polls.
func watch(dir string) (watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return poller{dir, fmt.Errorf("inotify: %w", err)}, nil
	}
	file := os.NewFile(uintptr(fd), "inotify")
	_, err = unix.InotifyAddWatch(fd, dir, watched)
	if err == nil {
		return inotify{file}, nil
	}
	file.Close() // nothing was written
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, err
	}
	return poller{dir, fmt.Errorf("inotify: %w", err)}, nil
}

func (w inotify) run(ctx context.Context, out chan<- notice) error {
	defer w.file.Close() // nothing is written
	defer context.AfterFunc(ctx, func() { w.file.Close() })()
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return errors.Join(errGone, fmt.Errorf("inotify: %w", err))
		}
		for events := buf[:n]; len(events) > 0; {
			var mask uint32
			var name string
			mask, name, events = cut(events)
			switch {
			case mask&ends != 0:
				return errGone
			case mask&unix.IN_Q_OVERFLOW != 0:
				tell(ctx, out, notice{what: missed})
			case mask&closes != 0:
				tell(ctx, out, notice{completed, name})
			case mask&unix.IN_CREATE != 0:
				tell(ctx, out, notice{appeared, name})
			}
		}
	}
}

// cut takes the first event off what the kernel wrote: four numbers, of which
// the second is the mask and the fourth the length of the name behind them,
// which is filled up with zeros.
func cut(events []byte) (mask uint32, name string, rest []byte) {
	mask = binary.NativeEndian.Uint32(events[4:])
	end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
	name = string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
	return mask, name, events[end:]
}
