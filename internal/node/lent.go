package node

import (
	"context"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// spokenTime is how long a node that has started holds back what it had leased to peers,
// for them to say what they still have.
const spokenTime = 10 * time.Second

// outlived is how long a lease outlives silence: run is what a run is known to take,
// and held how long the lease has lasted, since the first run may take longer.
func outlived(run, held time.Duration) time.Duration {
	return min(max(minOutlived, runsOutlived*run, held), maxOutlived)
}

// An ending is why a lease ends without a verdict of the peer that has it.
type ending int

const (
	returned ending = iota // the peer does not have it any more, or ends
	lapsed                 // the peer has been silent for too long
	died                   // its process has died
)

// A session is one connection of a peer; it ends with its context.
type session struct{ ctx context.Context }

// A guestLease is a frame that a peer works on.
type guestLease struct {
	store.Lease
	at     store.Queue
	deaths int
	cost   time.Duration // of a run, as far as it was known when the lease began
	since  time.Time     // when that was
	lent   *lent         // of which it is one

	// Under the lock of lent.
	by    *session  // the connection over which the peer has it; nil while it is silent
	until time.Time // when it lapses then
}

func (l *guestLease) ref() store.Ref { return store.Ref{At: l.at, Number: l.Number()} }

// Deliveries counts those whose holders have died, and this one.
func (l *guestLease) Deliveries() int { return l.deaths + 1 }

// lent is what one start of a peer has leased of the own store, over one connection
// after another.
type lent struct {
	peer  string
	since int // its number among all starts of peers
	// outlived is how long a lease outlives silence from now on.
	outlived func(*guestLease) time.Duration
	giveBack func(peer string, leases []*guestLease, why ending)

	mu      sync.Mutex
	leases  map[store.Ref]*guestLease
	speaker *session          // over which the peer has said last what it has
	open    map[*session]bool // connections
	over    bool              // nothing is leased any more: the peer has died, or this node ends
	timer   *time.Timer
}

// connect takes a connection.
func (l *lent) connect(g *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[g] = true
}

// add takes leases that go out over a connection, unless that cannot be any more.
func (l *lent) add(by *session, leases []*guestLease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || by.ctx.Err() != nil || l.speaker != nil && l.speaker != by {
		return false
	}
	for _, lease := range leases {
		lease.lent, lease.by = l, by
		l.leases[lease.ref()] = lease
	}
	return true
}

// restore takes leases that an earlier start of this node gave, until the peer says
// which of them it has.
func (l *lent) restore(leases []*guestLease, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lease := range leases {
		lease.lent, lease.until = l, until
		l.leases[lease.ref()] = lease
	}
	l.wait()
}

// end takes a lease out that is decided; false means that it has ended already.
func (l *lent) end(lease *guestLease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leases[lease.ref()] != lease {
		return false
	}
	delete(l.leases, lease.ref())
	return true
}

// disconnect has the leases of a connection outlive it for their time.
func (l *lent) disconnect(by *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, by)
	now := time.Now()
	for _, lease := range l.leases {
		if lease.by == by {
			lease.by, lease.until = nil, now.Add(l.outlived(lease))
		}
	}
	l.wait()
}

// wait sets the timer to when the first lease lapses. The caller holds the lock.
func (l *lent) wait() {
	var first time.Time
	for _, lease := range l.leases {
		if lease.by == nil && (first.IsZero() || lease.until.Before(first)) {
			first = lease.until
		}
	}
	switch {
	case first.IsZero() || l.over:
	case l.timer == nil:
		l.timer = time.AfterFunc(time.Until(first), l.lapse)
	default:
		l.timer.Reset(time.Until(first))
	}
}

// lapse gives back what has outlived its time.
func (l *lent) lapse() {
	now := time.Now()
	l.remove(lapsed, func(lease *guestLease) bool { return lease.by == nil && !lease.until.After(now) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait()
}

// resume is called when the peer says over a connection what it has. It gives the
// leases of that, nil for those that have ended, and gives back what else there is of
// earlier connections; unless the connection, or this node, has ended meanwhile.
func (l *lent) resume(by *session, frames []store.Ref) ([]*guestLease, bool) {
	l.mu.Lock()
	if l.over || by.ctx.Err() != nil {
		l.mu.Unlock()
		return nil, false
	}
	l.speaker = by
	out := make([]*guestLease, len(frames))
	for i, f := range frames {
		if lease := l.leases[f]; lease != nil {
			lease.by = by
			out[i] = lease
		}
	}
	l.mu.Unlock()
	l.remove(returned, func(lease *guestLease) bool { return lease.by != by })
	return out, true
}

// all is what remove gives back when the peer ends.
func all(*guestLease) bool { return true }

// lives tells whether a connection of the peer does. The caller holds the lock.
func (l *lent) lives() bool {
	for s := range l.open {
		if s.ctx.Err() == nil {
			return true
		}
	}
	return false
}

// connected tells whether the peer is.
func (l *lent) connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lives()
}

// die tells whether the peer is not connected; nothing is leased to it then any more.
func (l *lent) die() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lives() {
		return false
	}
	l.over = true
	return true
}

// remove gives back some leases.
func (l *lent) remove(why ending, which func(*guestLease) bool) {
	l.mu.Lock()
	var back []*guestLease
	for ref, lease := range l.leases {
		if which(lease) {
			delete(l.leases, ref)
			back = append(back, lease)
		}
	}
	l.mu.Unlock()
	if len(back) > 0 {
		l.giveBack(l.peer, back, why)
	}
}

// stop ends the waiting: this node ends, and the store gives all leases back.
func (l *lent) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// unused tells whether there is nothing to remember.
func (l *lent) unused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open) == 0 && len(l.leases) == 0
}
