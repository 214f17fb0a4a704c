package node

import (
	"sync"
	"time"
)

// An InjectorState says what an injector does.
type InjectorState string

// The states of an injector.
const (
	InjectorRunning InjectorState = "running"
	InjectorWaiting InjectorState = "waiting" // for its first run, or for the next with pmk-every
	InjectorFailed  InjectorState = "failed"  // its last run failed: it is started again
	InjectorGaveUp  InjectorState = "gave up" // it has failed more often than pmk-retries says
	InjectorEnded   InjectorState = "ended"
)

// InjectorStates are all of them.
func InjectorStates() []InjectorState {
	return []InjectorState{InjectorRunning, InjectorWaiting, InjectorFailed, InjectorGaveUp, InjectorEnded}
}

// An InjectorStatus is how an injector does on one node.
type InjectorStatus struct {
	State InjectorState
	// Failed counts the runs that have failed one after the other: it is 0 again when one has
	// ended well, or has gone on for a minute.
	Failed int
	// Next is when it is started again; zero while it runs and after its end.
	Next time.Time
}

// starts are the runs of an injector so far. It is safe for concurrent use.
type starts struct {
	mu    sync.Mutex
	now   InjectorStatus
	begun time.Time // of the run that goes on
}

// soundRun is how long a run goes on that is not one of a row of failures, even if it fails in the
// end: whoever starts it again so seldom burdens nobody.
const soundRun = time.Minute

// begin notes that a run begins.
func (s *starts) begin(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.now.State, s.now.Next = at, InjectorRunning, time.Time{}
}

// end notes that the run has ended, and returns how many have failed in a row.
func (s *starts) end(at time.Time, err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.now.Failed = 0
	case at.Sub(s.begun) >= soundRun:
		s.now.Failed = 1
	default:
		s.now.Failed++
	}
	return s.now.Failed
}

// become notes what follows, and when the next run begins; zero if none does.
func (s *starts) become(state InjectorState, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.State, s.now.Next = state, next
}

func (s *starts) status(at time.Time) InjectorStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now
	if now.State == InjectorRunning && at.Sub(s.begun) >= soundRun {
		now.Failed = 0
	}
	return now
}
