package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// serverLog takes what the server says. It is the only way to learn why a
// server does not start, and that it found something broken.
type serverLog struct {
	log    *slog.Logger
	damage *damage
	fault  func(error) // must not wait: the server calls with its locks held

	mu    sync.Mutex
	first error // the first fatal error
}

func newServerLog(log *slog.Logger, d *damage, fault func(error)) *serverLog {
	return &serverLog{log: log.With("part", "nats-server"), damage: d, fault: fault}
}

// fatal is the error the server gave up with, if any.
func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

func (l *serverLog) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	for _, usual := range []string{"state outdated", "prior state"} {
		if strings.Contains(text, usual) {
			l.log.Debug(text) // an index is made anew, as after every kill
			return
		}
	}
	l.log.Warn(text)
	l.note(text)
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	l.note(text)
	// A stream that could not be written once takes nothing more, and answers
	// nothing either.
	for _, sign := range []string{"critical write error", "failed to store a msg", "will be DISABLED"} {
		if strings.Contains(text, sign) {
			l.fault(errors.New(text))
			return
		}
	}
}

func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = errors.New(text)
	}
}

// note keeps what is about broken files. After a kill, or on a disk that was
// full, the server has more to say about its indexes, which it then makes anew
// from the blocks; that is no damage.
func (l *serverLog) note(text string) {
	low := strings.ToLower(text)
	if strings.Contains(low, "stream state from index") {
		return
	}
	for _, sign := range []string{"corrupt", "checksum", "bad msg", "error recovering", "lost"} {
		if strings.Contains(low, sign) {
			l.damage.add("the server says: " + text)
			return
		}
	}
}
