package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// watch is how often the supervisor looks at the server.
	watch = 200 * time.Millisecond
	// The pauses between two starts of a server that gave up.
	firstBackOff, lastBackOff = 100 * time.Millisecond, 5 * time.Second
	// endWait is how long a broken server may take to end until that is told.
	endWait = 20 * time.Second
	// leastShy is how long nothing is appended after a server that gave up.
	leastShy = 500 * time.Millisecond
	// calm is how long a server has to run for the pauses to begin anew.
	calm = 10 * time.Second
)

// start runs a server and takes up what lies in it.
func (s *Store) start(ctx context.Context, losses []loss) (*engine, error) {
	log := newServerLog(s.log, &s.damage, s.fault)
	eng, err := startEngine(ctx, s.cfg.Dir, s.cfg.Group, s.cfg.Memory, log, log.fatal)
	if err != nil {
		return nil, err
	}
	if err = s.restore(ctx, eng, losses); err == nil {
		err = s.count(ctx, eng, true)
	}
	if err != nil {
		_ = eng.close() // the first error says more
		return nil, err
	}
	return eng, nil
}

// count makes the room's count true, and learns what lies in every place; at the
// start of a server nothing else is known. Frames that are ending count no more.
func (s *Store) count(ctx context.Context, eng *engine, start bool) error {
	streams, err := eng.streams(ctx)
	if err != nil {
		return fmt.Errorf("count what lies in the store: %w", err)
	}
	var sum int64
	infos := map[store.Place]*server.StreamInfo{}
	for at, stream := range streams {
		info, err := eng.info(ctx, stream, withCounts)
		if errors.Is(err, errNoPlace) {
			continue
		}
		if err != nil {
			return fmt.Errorf("count what lies in the store: %w", err)
		}
		infos[at] = info
		sum += eng.countOf(at, info).Bytes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, info := range infos {
		l := s.line(at)
		if start {
			l.found(info.State.FirstSeq, info.State.LastSeq)
		} else {
			l.last = max(l.last, info.State.LastSeq)
		}
		l.wake()
	}
	for at, l := range s.lines {
		if start && infos[at] == nil { // a server in memory has nothing any more
			l.forget()
		}
		for _, e := range l.done {
			sum -= e.size
		}
	}
	s.room.used.Store(max(sum, 0))
	return nil
}

// supervise looks after the server: when it gave up, another is started as
// soon as there is room.
func (s *Store) supervise() {
	tick := time.NewTicker(watch)
	defer tick.Stop()
	backOff, since := firstBackOff, time.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		case <-s.kick:
		case err := <-s.faults:
			s.fail(err)
		}
		s.mu.Lock()
		eng, down := s.eng, s.down
		s.mu.Unlock()
		if eng != nil && eng.alive() && down == nil {
			if s.room.doubt.Swap(false) && s.count(s.ctx, eng, false) != nil {
				s.room.doubt.Store(true)
			}
			continue
		}
		if time.Since(since) > calm {
			backOff = firstBackOff
		}
		s.restart(eng, &backOff)
		since = time.Now()
	}
}

// restart ends a server that gave up and starts others until one runs.
func (s *Store) restart(eng *engine, backOff *time.Duration) {
	s.mu.Lock()
	if s.down == nil {
		s.down = errors.New("the embedded server shut its storage down")
		if low := s.room.low(); low != nil {
			s.down = fmt.Errorf("%w (%w)", s.down, low)
		}
	}
	s.eng = nil
	s.announce()
	why := s.down
	s.mu.Unlock()
	s.log.Error("the store cannot be written", "error", why)
	if eng != nil {
		eng.stop() // who waits for an answer gets none any more
		if !s.ends(eng) {
			return
		}
	}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(*backOff):
		}
		*backOff = min(2**backOff, lastBackOff)
		err := s.room.low()
		if err == nil {
			if eng, err = s.start(s.ctx, nil); err == nil {
				break
			}
		}
		s.mu.Lock()
		s.down = err
		s.mu.Unlock()
	}
	select {
	case <-s.faults: // of the last server, or its last words
	default:
	}
	s.mu.Lock()
	s.eng, s.down = eng, nil
	// What lies there is handed out at once, because that makes room. Another
	// append that fails would end this server as well, so it waits a little.
	s.shy, s.shyFor = why, time.Now().Add(max(*backOff, leastShy))
	s.frugal = time.Now().Add(frugalTime)
	for _, l := range s.lines {
		l.startClean()
	}
	s.announce()
	s.mu.Unlock()
	s.log.Info("the store can be written again")
}

// ends waits until a broken server has ended. One that hangs still has the
// folder, so there must not be another.
func (s *Store) ends(eng *engine) bool {
	ended := make(chan struct{})
	go func() {
		_ = eng.close() // it is broken
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-time.After(endWait):
	}
	err := errors.New("the embedded server does not stop; end this node and start it again")
	s.mu.Lock()
	s.down = fmt.Errorf("%w (%w)", err, s.down)
	s.mu.Unlock()
	s.log.Error("the store stays closed", "error", err)
	select {
	case <-ended: // at last
		return true
	case <-s.ctx.Done():
		s.hung.Store(true)
		return false
	}
}

// fault is called when the server says that it cannot write.
func (s *Store) fault(err error) {
	select {
	case s.faults <- err:
	default: // one is enough
	}
}

// fail takes the server out of use.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = err
	}
}

// unsure is why nothing is appended for now although the server runs. The
// lock is held.
func (s *Store) unsure() error {
	if s.shy != nil && time.Now().Before(s.shyFor) {
		return fmt.Errorf("it is tried again soon; the last time: %w", s.shy)
	}
	s.shy = nil
	return nil
}
