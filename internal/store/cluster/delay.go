package cluster

import (
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A delayed frame is in its queue's stream like any other. A server delivers it
// to the first node that pulls, which gives it back until it is due; the second
// delivery is the first that counts. The server counts that time down, so the
// clocks of the nodes have no say: that of the cluster tells how long ago the
// frame was stored, and only when nobody here knows better. Whatever it says,
// the frame is given back for its delay at most, and twice at most: a second
// time when the first got lost on its way, so that it was delivered long before
// it was due.

// delaySlack is how much earlier than the cluster's clock says a frame is due
// that another node gave back: clocks of several servers differ.
const delaySlack = 250 * time.Millisecond

// remaining is how long a delayed frame still has to wait, as the cluster's time
// says.
func remaining(after time.Duration, stored, now time.Time) time.Duration {
	return min(max(stored.Add(after).Sub(now), 0), after)
}

// A delivery is one of a delayed frame.
type delivery struct {
	nth         uint64
	after       time.Duration
	stored, now time.Time // by the cluster's clock
	// due is when the frame is due if this process gave it back before, by its
	// own clock, which here tells; else it is zero.
	due, here time.Time
}

// giveBack tells for how long the frame is given back, or that it is due.
func (d delivery) giveBack() (wait time.Duration, due bool) {
	switch {
	case d.nth <= 1:
		return remaining(d.after, d.stored, d.now), false
	case !d.due.IsZero():
		wait = d.due.Sub(d.here)
	case d.nth == 2:
		if wait = remaining(d.after, d.stored, d.now); wait < delaySlack {
			wait = 0
		}
	}
	return max(wait, 0), wait <= 0
}

// delay gives a delayed frame back that was delivered before it was due; then
// due is false. The lock is held.
func (s *holder) delay(k key, reply string, nth uint64, after time.Duration, stored time.Time) (due bool) {
	here := time.Now()
	wait, due := delivery{nth: nth, after: after, stored: stored, now: s.clock.now(), due: s.leases.delayed[k], here: here}.giveBack()
	if due {
		delete(s.leases.delayed, k)
		return true
	}
	s.leases.delayed[k] = here.Add(wait)
	s.nak(reply, wait)
	return false
}

// forgetDelayed forgets what is due and was not delivered here again. The lock is
// held.
func (s *holder) forgetDelayed() {
	for k, due := range s.leases.delayed {
		if time.Since(due) > store.MaxLapse {
			delete(s.leases.delayed, k)
		}
	}
}
