package inject

import "time"

// maxSettling bounds the files that wait to be seen unchanged. Where there are
// more, the folder is read again once these are through.
const maxSettling = 1 << 16

// settling is the files that wait to be seen unchanged, in the order in which
// they came. It is used by one goroutine.
type settling struct {
	after time.Duration
	timer *time.Timer // fires when the first of queue is due
	queue []*candidate
	// byName has the candidates that still count; the others in queue were
	// dealt with meanwhile.
	byName map[string]*candidate
	// more says that files were left out for want of room.
	more bool
}

// A candidate is a file as it was seen, and when it is to be looked at again.
type candidate struct {
	seen look
	due  time.Time
}

func newSettling(after time.Duration) *settling {
	timer := time.NewTimer(after)
	timer.Stop()
	return &settling{after: after, timer: timer, byName: make(map[string]*candidate)}
}

// add makes the file, as it was just seen, a candidate, unless it is one. It
// tells whether there was room.
func (s *settling) add(seen look) bool {
	if s.byName[seen.name] != nil {
		return true
	}
	if len(s.queue) >= maxSettling {
		s.more = true
		return false
	}
	c := &candidate{seen, time.Now().Add(s.after)}
	s.byName[seen.name] = c
	if s.queue = append(s.queue, c); len(s.queue) == 1 {
		s.timer.Reset(s.after)
	}
	return true
}

// drop forgets the candidate of that name.
func (s *settling) drop(name string) { delete(s.byName, name) }

// next takes out the first candidate, nil if that was dropped meanwhile, and
// sets the timer for the one behind it.
func (s *settling) next() *look {
	c := s.queue[0]
	s.queue[0] = nil
	if s.queue = s.queue[1:]; len(s.queue) > 0 {
		s.timer.Reset(time.Until(s.queue[0].due))
	}
	if s.byName[c.seen.name] != c {
		return nil
	}
	s.drop(c.seen.name)
	return &c.seen
}
