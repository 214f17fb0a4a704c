package node

import (
	"context"
	"sync"
	"sync/atomic"
)

// flights are the commits that hold what one sender has brought. They are safe for
// concurrent use.
type flights struct {
	sender

	// flying are those that have not landed, and perhaps some that have. The list is
	// never changed: thousands read it, and would queue for a lock.
	flying atomic.Pointer[[]flight]
	failed atomic.Pointer[error] // of a commit that is no longer in flying
	mu     sync.Mutex            // held to replace flying
}

// A flight is a commit that holds something of a sender.
type flight struct {
	*commit
	records bool // of a ledger alone
}

// started notes a commit that holds something that the sender has brought. Most packets are in
// the commit of the one before.
func (fl *flights) started(f *commit, records bool) {
	if f == nil || fl.knows(f) {
		return
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.knows(f) {
		return
	}
	var flying []flight
	for _, old := range fl.list() {
		if !old.over() {
			flying = append(flying, old)
		} else if old.err != nil {
			fl.failed.CompareAndSwap(nil, &old.err)
		}
	}
	flying = append(flying, flight{f, records})
	fl.flying.Store(&flying)
}

func (fl *flights) list() []flight {
	if flying := fl.flying.Load(); flying != nil {
		return *flying
	}
	return nil
}

// knows tells whether the commit was noted.
func (fl *flights) knows(f *commit) bool {
	flying := fl.list()
	for i := len(flying) - 1; i >= 0; i-- {
		if flying[i].commit == f {
			return true
		}
	}
	return false
}

// Flush returns when everything that was put before is as safe as the node's
// durability says, or one of it could not be made so. If ctx ends before, what is
// not stored by then never will be, and the error is ctx's; it is nil if all was
// stored.
func (fl *flights) Flush(ctx context.Context) error {
	list := fl.list()
	for _, f := range list {
		if err := f.await(ctx); err != nil {
			if ctx.Err() != nil {
				return fl.withdraw(ctx, list)
			}
			return err
		}
	}
	if failed := fl.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// withdraw takes back what is not stored. A record of a ledger that stays does no
// harm: nobody asks for it.
func (fl *flights) withdraw(ctx context.Context, list []flight) error {
	var err error
	if failed := fl.failed.Load(); failed != nil {
		err = *failed
	}
	for _, f := range list {
		if f.withdraw(&fl.sender) && !f.records {
			err = ctx.Err()
		}
	}
	return err
}
