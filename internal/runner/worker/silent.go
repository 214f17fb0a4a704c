package worker

import (
	"fmt"
	"sync"
	"time"

	"github.com/recap/pumpkin/packet"
)

// silentTime is how long a program may take for its first answer before that is said.
const silentTime = 10 * time.Second

// silent are the workers of a seed that have not answered for so long, and the packet that each
// has.
type silent struct {
	mu   sync.Mutex
	with map[*liner]packet.ID
}

// text says which packets are not answered; "" if there are none.
func (s *silent) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.with {
		text := fmt.Sprintf("has not answered packet %s for more than %v", id, silentTime)
		if more := len(s.with) - 1; more > 0 {
			text += fmt.Sprintf(", nor %d more", more)
		}
		return text
	}
	return ""
}

// awaitFirst says what is probably wrong when a program does not answer its first line, until
// stop is called.
func (l *liner) awaitFirst(p *packet.Packet) (stop func()) {
	if l.answered {
		return func() {}
	}
	s, id := l.silent, p.ID
	stopped := false // guarded by s.mu
	said := time.AfterFunc(silentTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if stopped {
			return
		}
		if s.with == nil {
			s.with = map[*liner]packet.ID{}
		}
		s.with[l] = id
		l.env.Warn(fmt.Sprintf("seed %s has not answered packet %s for %v: in lines mode a program writes each answer at once, "+
			"and not when a buffer is full; stdbuf -oL, an option such as --unbuffered or --line-buffered, or a flush in the program does that", l.m.Name, id, silentTime))
	})
	return func() {
		said.Stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		stopped = true
		delete(s.with, l)
	}
}
