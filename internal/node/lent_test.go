package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A numbered lease is one of a frame that nobody looks into.
type numbered struct {
	store.Lease
	number uint64
}

func (l numbered) Number() uint64 { return l.number }

// A lending is what one start of a peer has leased, without a node or a store.
type lending struct {
	*lent

	watch sync.Mutex
	run   time.Duration // that a run is known to take
	back  []string      // what was given back, how, and when
}

func newLending() *lending {
	l := &lending{}
	begun := time.Now()
	l.lent = &lent{
		peer: "b", leases: map[store.Ref]*guestLease{}, open: map[*session]bool{},
		outlived: func(lease *guestLease) time.Duration { return outlived(l.run, time.Since(lease.since)) },
		giveBack: func(_ string, leases []*guestLease, why ending) {
			l.watch.Lock()
			defer l.watch.Unlock()
			slices.SortFunc(leases, func(a, b *guestLease) int { return int(a.Number()) - int(b.Number()) })
			for _, lease := range leases {
				how := map[ending]string{returned: "returned", lapsed: "lapsed", died: "died"}[why]
				l.back = append(l.back, fmt.Sprintf("%d %s after %v", lease.Number(), how, time.Since(begun)))
			}
		},
	}
	return l
}

// connect begins a connection. What it gives ends it.
func (l *lending) connect(t *testing.T) (*session, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{ctx}
	l.lent.connect(s)
	return s, func() {
		cancel()
		l.disconnect(s)
	}
}

// lease leases frames with these numbers over a connection.
func (l *lending) lease(t *testing.T, by *session, numbers ...uint64) (out []*guestLease) {
	t.Helper()
	for _, n := range numbers {
		out = append(out, &guestLease{Lease: numbered{number: n}, at: "in.x", since: time.Now()})
	}
	if !l.add(by, out) {
		t.Fatalf("frames %d are not leased", numbers)
	}
	return out
}

func refs(numbers ...uint64) (out []store.Ref) {
	for _, n := range numbers {
		out = append(out, store.Ref{At: "in.x", Number: n})
	}
	return out
}

// want expects that this was given back, and nothing else.
func (l *lending) want(t *testing.T, back ...string) {
	t.Helper()
	synctest.Wait()
	l.watch.Lock()
	defer l.watch.Unlock()
	if !slices.Equal(l.back, back) {
		t.Errorf("given back were %q; expected %q", l.back, back)
	}
}

// TestSilenceIsNotDeath: leases outlive the connection that they came over, at least
// 10 s and longer where runs take long, and go on over the next.
func TestSilenceIsNotDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending()
		g, cut := l.connect(t)
		leases := l.lease(t, g, 1, 2, 3, 4)
		if !l.end(leases[3]) || l.end(leases[3]) {
			t.Error("a lease does not end once")
		}
		time.Sleep(time.Second)
		cut()
		time.Sleep(9 * time.Second)
		l.want(t)
		g, cut = l.connect(t)
		time.Sleep(500 * time.Millisecond)
		// The peer has 1 and 2, says that of a 4 that it has acknowledged, and never got 3.
		got, _ := l.resume(g, refs(2, 1, 4))
		if got[0] != leases[1] || got[1] != leases[0] || got[2] != nil {
			t.Errorf("resumed are %v", got)
		}
		l.want(t, "3 returned after 10.5s")
		if l.end(leases[2]) {
			t.Error("a lease that was given back is ended by its holder")
		}
		time.Sleep(time.Hour)
		if !l.end(leases[0]) {
			t.Error("a lease that was resumed is not ended by its holder")
		}

		// A run is known by now to take 7 s, and this lease is an hour old: it is held as
		// long as any.
		l.run = 7 * time.Second
		l.lease(t, g, 5)
		cut()
		time.Sleep(21 * time.Second)
		l.want(t, "3 returned after 10.5s", "5 lapsed after 1h0m31.5s")
		time.Sleep(maxOutlived)
		l.want(t, "3 returned after 10.5s", "5 lapsed after 1h0m31.5s", "2 lapsed after 1h10m10.5s")
		if l.end(leases[1]) || !l.unused() {
			t.Error("a lease that has lapsed is still there")
		}
		g, _ = l.connect(t)
		if got, _ := l.resume(g, refs(2)); got[0] != nil {
			t.Error("a lease that has lapsed is resumed")
		}
	})
}

// TestAConnectionThatIsNotUsedAnyMore: once the peer has resumed its leases over another
// one, nothing is leased over the first, and its end lets nothing lapse.
func TestAConnectionThatIsNotUsedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending()
		first, cut := l.connect(t)
		l.lease(t, first, 1)
		second, _ := l.connect(t)
		l.resume(second, refs(1))
		if l.add(first, []*guestLease{{Lease: numbered{number: 2}, at: "in.x"}}) {
			t.Error("frames are leased over a connection that the peer does not use any more")
		}
		l.lease(t, second, 3)
		cut()
		if _, ok := l.resume(first, refs(1)); ok {
			t.Error("leases are resumed over a connection that has ended")
		}
		time.Sleep(time.Hour)
		l.want(t)
	})
}

// TestAPeerThatHasDied: another start of it has come, or it has said that it ends.
func TestAPeerThatHasDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending()
		g, cut := l.connect(t)
		l.lease(t, g, 1)
		if l.die() {
			t.Error("a peer that is connected has died")
		}
		l.remove(returned, all)
		l.lease(t, g, 2)
		cut()
		if !l.die() {
			t.Error("a peer that is not connected, and has another start, has not died")
		}
		l.remove(died, all)
		if l.add(g, []*guestLease{{Lease: numbered{number: 3}, at: "in.x"}}) {
			t.Error("frames are leased to a peer that has died")
		}
		time.Sleep(time.Hour)
		l.want(t, "1 returned after 0s", "2 died after 0s")
	})
}

// TestAnOwnerThatStartsAgain: what it had leased waits for who has it.
func TestAnOwnerThatStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending()
		one, two := &guestLease{Lease: numbered{number: 1}, at: "in.x"}, &guestLease{Lease: numbered{number: 2}, at: "in.x"}
		l.restore([]*guestLease{one, two}, time.Now().Add(spokenTime))
		time.Sleep(spokenTime - time.Second)
		g, _ := l.connect(t)
		if got, _ := l.resume(g, refs(2)); got[0] != two {
			t.Errorf("resumed are %v", got)
		}
		time.Sleep(time.Hour)
		l.want(t, "1 returned after 9s")

		l = newLending()
		l.restore([]*guestLease{one}, time.Now().Add(spokenTime))
		time.Sleep(time.Hour)
		l.want(t, "1 lapsed after 10s")
	})
}

func TestOutlived(t *testing.T) {
	for _, c := range []struct{ run, held, want time.Duration }{
		{0, 0, 10 * time.Second},
		{time.Millisecond, time.Second, 10 * time.Second},
		{15 * time.Second, time.Second, 45 * time.Second},
		{0, 40 * time.Second, 40 * time.Second}, // its first run goes on
		{time.Hour, 0, 10 * time.Minute},
		{0, time.Hour, 10 * time.Minute},
	} {
		if got := outlived(c.run, c.held); got != c.want {
			t.Errorf("a lease of %v outlives silence by %v where a run takes %v; expected %v", c.held, got, c.run, c.want)
		}
	}
}
