package link

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/testenv"
)

// TestTooManyLeases pulls from many sides more than one session may hold.
func TestTooManyLeases(t *testing.T) {
	e := serve(t, "unix", nil)
	p := e.meet(nil, Client{})
	for range maxLeases + maxMost {
		e.put("x")
	}
	var got, refused atomic.Int64
	var g errgroup.Group
	for range maxLeases/maxMost + 1 {
		g.Go(func() error {
			leases, err := p.Store().Pull(t.Context(), inbox, maxMost)
			if err != nil && strings.Contains(err.Error(), "decide some first") {
				refused.Add(1)
				err = nil
			}
			got.Add(int64(len(leases)))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if refused.Load() < 1 || got.Load() > maxLeases {
		t.Errorf("%d leases were given, and %d pulls refused; expected at most %d, and 1 or more", got.Load(), refused.Load(), maxLeases)
	}
	// What was refused is not held by anybody.
	testenv.Eventually(t, 5*time.Second, "what was refused is given back", func() bool { return e.host.Held() == int(got.Load()) })
	select {
	case <-p.Gone():
		t.Error("a pull that is refused ended the session")
	default:
	}
}
