package worker

import (
	"os"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/runner"
)

// maxLine is the longest line that is passed on in one piece, in bytes.
const maxLine = 16 << 10

// A log reads what a worker and its children print, passes it on line by line,
// and keeps the tail.
type log struct {
	print func(string)
	done  chan struct{} // closed at the end
	more  chan struct{} // has an element when something came

	mu   sync.Mutex
	last []byte // since begin, at most 2*MaxTail
}

func newLog(from *os.File, print func(string)) *log {
	l := &log{print: print, done: make(chan struct{}), more: make(chan struct{}, 1)}
	go l.read(from)
	return l
}

func (l *log) read(from *os.File) {
	defer close(l.done)
	defer from.Close()
	var line []byte
	chunk := make([]byte, 4<<10)
	for {
		n, err := from.Read(chunk)
		l.keep(chunk[:n])
		for _, c := range chunk[:n] {
			if c != '\n' {
				line = append(line, c)
			}
			if c == '\n' || len(line) == maxLine {
				l.print(string(line))
				line = line[:0]
			}
		}
		if err != nil {
			if len(line) > 0 {
				l.print(string(line))
			}
			return
		}
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
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
