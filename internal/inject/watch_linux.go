package inject

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// What is asked of inotify: a file that is complete, a file or folder that is there (a
// hard link or a symbolic one tells nothing more), and the folder's own end.
const (
	closes  = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO
	ends    = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_UNMOUNT | unix.IN_IGNORED
	watched = closes | unix.IN_CREATE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
)

// maxWatched is in how many folders events tell what happens. The system holds what it
// watches in its memory.
const maxWatched = 1 << 14

// inotify is the watcher of Linux. fsnotify, which is used elsewhere, does not
// tell when a file is closed.
type inotify struct {
	file *os.File
	dir  string

	mu   sync.Mutex
	subs map[int32]string // by the number of its watch; "" is the folder itself
}

// watch makes the watcher of a folder. Where that cannot be had, since the user's
// inotify instances or watches are used up for instance, it is one that polls.
func watch(dir string) (watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return poller{dir, fmt.Errorf("inotify: %w", err)}, nil
	}
	file := os.NewFile(uintptr(fd), "inotify")
	wd, err := unix.InotifyAddWatch(fd, dir, watched)
	if err == nil {
		return &inotify{file: file, dir: dir, subs: map[int32]string{int32(wd): ""}}, nil
	}
	file.Close() // nothing was written
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, err
	}
	return poller{dir, fmt.Errorf("inotify: %w", err)}, nil
}

// add watches a sub-folder. A folder that was moved keeps the number that it had.
func (w *inotify) add(sub string) error {
	if sub == "" {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wd, err := -1, error(nil)
	failed := w.control(func(fd int) {
		if len(w.subs) >= maxWatched {
			err = fmt.Errorf("there are more than %d folders", maxWatched)
			return
		}
		wd, err = unix.InotifyAddWatch(fd, filepath.Join(w.dir, sub), watched|unix.IN_DONT_FOLLOW)
	})
	switch {
	case failed != nil: // the watcher has ended
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EACCES):
		return nil // who looks into it will see
	case err != nil:
		return err
	}
	// A mount may have put the folder itself below it.
	if old, known := w.subs[int32(wd)]; !known || old != "" { //nolint:gosec // a number of the kernel's
		w.subs[int32(wd)] = sub //nolint:gosec // likewise
	}
	return nil
}

// control calls do with the descriptor.
func (w *inotify) control(do func(fd int)) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}

func (w *inotify) run(ctx context.Context, out chan<- notice) error {
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
			var e event
			e, events = cut(events)
			n, gone := w.notice(e)
			if gone {
				return errGone
			}
			if n.what != 0 {
				tell(ctx, out, n)
			}
		}
	}
}

// notice is what an event tells, nothing where what is 0; gone says that the folder is.
func (w *inotify) notice(e event) (n notice, gone bool) {
	if e.mask&unix.IN_Q_OVERFLOW != 0 {
		return notice{what: missed}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sub, known := w.subs[e.watch]
	if !known {
		return n, false // of a folder that is gone
	}
	name := path.Join(sub, e.name)
	switch {
	case e.mask&ends != 0 && sub == "":
		return n, true
	case e.mask&ends != 0:
		return w.left(e.watch, sub, e.mask&unix.IN_MOVE_SELF != 0), false
	case e.mask&unix.IN_ISDIR != 0 && e.mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		return notice{entered, name}, false
	case e.mask&closes != 0:
		return notice{completed, name}, false
	case e.mask&unix.IN_CREATE != 0:
		return notice{appeared, name}, false
	}
	return n, false
}

// left forgets a sub-folder that has ended, or was moved with all in it: where it is
// then, and whether it was watched there before this came, a look will tell.
func (w *inotify) left(watch int32, sub string, moved bool) (n notice) {
	delete(w.subs, watch)
	if !moved {
		return n
	}
	gone := []int32{watch}
	for other, name := range w.subs {
		if strings.HasPrefix(name, sub+"/") {
			gone = append(gone, other)
			delete(w.subs, other)
		}
	}
	// An error is that the watcher, or the folder, has ended.
	_ = w.control(func(fd int) {
		for _, watch := range gone {
			_, _ = unix.InotifyRmWatch(fd, uint32(watch)) //nolint:gosec // a number of the kernel's
		}
	})
	return notice{what: missed}
}

// An event is one of what the kernel tells.
type event struct {
	watch int32
	mask  uint32
	name  string
}

// cut takes the first event off what the kernel wrote: four numbers, of which the first
// is the watch's, the second the mask and the fourth the length of the name behind them,
// which is filled up with zeros.
func cut(events []byte) (e event, rest []byte) {
	e.watch = int32(binary.NativeEndian.Uint32(events)) //nolint:gosec // as it was written
	e.mask = binary.NativeEndian.Uint32(events[4:])
	end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
	e.name = string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
	return e, events[end:]
}
