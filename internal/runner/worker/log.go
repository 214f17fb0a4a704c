package worker

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/runner"
)

const (
	// maxLine is the longest line that is passed on in one piece, in bytes.
	maxLine = 16 << 10
	// logChunk is how much is read at a time.
	logChunk = 4 << 10
	// logPipe is what the pipe holds that nobody has read.
	logPipe = 64 << 10
)

// A log reads what a worker and its children print, passes it on line by line,
// and keeps the tail.
type log struct {
	print func(string) error
	from  syscall.RawConn
	look  func(fd uintptr) // sets silent
	done  chan struct{}    // closed at the end
	more  chan struct{}    // has an element when something came

	taking sync.Mutex
	chunk  [logChunk]byte
	line   []byte // what has no end yet
	poll   [1]unix.PollFd
	silent bool // nothing was there when it was looked last

	mu     sync.Mutex
	last   []byte // since begin, at most 2*MaxTail
	failed error  // of print, since it was asked for last
}

func newLog(from *os.File, print func(string) error) (*log, error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &log{print: print, from: raw, done: make(chan struct{}), more: make(chan struct{}, 1)}
	l.look = func(fd uintptr) {
		l.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // as the system gave it
		n, err := unix.Poll(l.poll[:], 0)
		l.silent = n == 0 && err == nil
	}
	go l.read(from)
	return l, nil
}

func (l *log) read(from *os.File) {
	defer close(l.done)
	defer from.Close()
	for {
		n, err := 0, error(nil)
		waited := l.from.Read(func(fd uintptr) bool {
			n, err = l.take(fd)
			return !errors.Is(err, unix.EAGAIN)
		})
		if waited != nil || err != nil || n == 0 {
			break
		}
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
	l.taking.Lock()
	defer l.taking.Unlock()
	if len(l.line) > 0 {
		l.pass()
	}
}

// take passes on a chunk of what is there, without waiting for it.
func (l *log) take(fd uintptr) (n int, err error) {
	l.taking.Lock()
	defer l.taking.Unlock()
	for n, err = unix.Read(int(fd), l.chunk[:]); errors.Is(err, unix.EINTR); {
		n, err = unix.Read(int(fd), l.chunk[:])
	}
	n = max(n, 0)
	l.keep(l.chunk[:n])
	for _, c := range l.chunk[:n] {
		if c != '\n' {
			l.line = append(l.line, c)
		}
		if c == '\n' || len(l.line) == maxLine {
			l.pass()
		}
	}
	return n, err
}

// pass passes the line on. The caller holds l.taking.
func (l *log) pass() {
	l.fail(l.print(string(l.line)))
	l.line = l.line[:0]
}

// fail notes that something could not be passed on.
func (l *log) fail(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
}

// unwritten is why something could not be passed on since the last call; nil for nothing.
func (l *log) unwritten() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.failed
	l.failed = nil
	if err == nil {
		return nil
	}
	return &runner.Fault{Reason: "what it printed cannot be written: " + err.Error(), Later: true}
}

// catchUp passes on all that was printed until now, unless ctx ends before: it is passed on as fast
// as those read it for whom it is.
func (l *log) catchUp(ctx context.Context) error {
	if l.caughtUp() {
		return nil
	}
	caught := make(chan struct{})
	go func() { // ends with its last write, as what reads the log does
		defer close(caught)
		l.from.Control(func(fd uintptr) { // an error says that all has been read
			for range logPipe / logChunk {
				if n, _ := l.take(fd); n == 0 {
					return
				}
			}
		})
	}()
	select {
	case <-caught:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// caughtUp tells whether all was passed on that was printed until now: nothing is being
// passed on, and nothing is there. It waits for nothing.
func (l *log) caughtUp() bool {
	if !l.taking.TryLock() {
		return false
	}
	defer l.taking.Unlock()
	err := l.from.Control(l.look)
	return err != nil || l.silent // an error says that all has been read
}

func (l *log) keep(text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, text...)
	if len(l.last) > 2*runner.MaxTail {
		l.last = append(l.last[:0], l.last[len(l.last)-runner.MaxTail:]...)
	}
}

// begin forgets what was printed before.
func (l *log) begin() {
	l.mu.Lock()
	l.last = l.last[:0]
	l.mu.Unlock()
}

func (l *log) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}

// settle waits until something came and then nothing more for a moment, at
// most within.
func (l *log) settle(within time.Duration) {
	limit := time.NewTimer(within)
	defer limit.Stop()
	quiet := within
	for {
		select {
		case <-l.more:
			quiet = within / 6
		case <-time.After(quiet):
			return
		case <-l.done:
			return
		case <-limit.C:
			return
		}
	}
}

// wait waits for the end of the worker's output; all processes that could write
// have been ended.
func (l *log) wait() {
	select {
	case <-l.done:
	case <-time.After(2 * time.Second):
	}
}
