package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// Frames of one place are shared by nodes: each goes to one of them, and what
// one gives back or leaves when it dies goes to another.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	one, two := openOn(t, c, "share", nil), openOn(t, c, "share", nil)
	const n = 60
	for i := range n {
		if err := appendTo(t.Context(), one, greet, store.Frame{Data: fmt.Appendf(nil, "%d", i), Packets: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	got := map[string]int{}
	var lapsing []store.Lease
	var pulls, both sync.WaitGroup // both: each has its first frames before one goes on
	both.Add(2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, s := range []*Store{one, two} {
		first := sync.OnceFunc(both.Done)
		pulls.Go(func() {
			defer first()
			for {
				mu.Lock()
				enough := len(got) == n
				mu.Unlock()
				if enough {
					cancel()
				}
				leases, err := s.Pull(ctx, greet, 4)
				if err != nil {
					return
				}
				first()
				both.Wait()
				mu.Lock()
				for _, l := range leases {
					got[string(l.Data())]++
					if s == two {
						lapsing = append(lapsing, l)
						continue
					}
					if err := l.Ack(); err != nil {
						t.Errorf("ack: %v", err)
					}
				}
				mu.Unlock()
			}
		})
	}
	pulls.Wait()
	for data, times := range got {
		if times != 1 {
			t.Errorf("frame %s came %d times", data, times)
		}
	}
	if len(got) != n || len(lapsing) == 0 || len(lapsing) == n {
		t.Fatalf("%d of %d frames came, %d of them to the second node", len(got), n, len(lapsing))
	}
	// The second node dies: its connection and its renewals end without a word.
	start := time.Now()
	two.stop()
	two.nc.Close()
	again := map[string]bool{}
	late, done := context.WithTimeout(t.Context(), store.MaxLapse)
	defer done()
	for len(again) < len(lapsing) {
		leases, err := one.Pull(late, greet, 32)
		if err != nil {
			t.Fatalf("%d of the %d frames that a dead node had came within %v: %v", len(again), len(lapsing), time.Since(start), err)
		}
		for _, l := range leases {
			again[string(l.Data())] = true
			// A request of the first node that was given up may have had it
			// meanwhile, and given it back.
			if l.Deliveries() < 2 {
				t.Errorf("frame %s has %d deliveries; expected at least 2", l.Data(), l.Deliveries())
			}
		}
	}
	t.Logf("%d frames of the dead node came again after %v", len(again), time.Since(start))
}

func TestExclusive(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	one, two := openOn(t, c, "locks", nil), openOn(t, c, "locks", nil)
	held, release, err := one.Exclusive(t.Context(), "move")
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), lockLapse+lockRenew)
	defer cancel()
	if _, _, err := two.Exclusive(short, "move"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two are alone at once: %v", err)
	}
	if held.Err() != nil {
		t.Fatal("a lock that was renewed is lost")
	}
	_, other, err := two.Exclusive(t.Context(), "drop")
	if err != nil {
		t.Fatalf("another lock: %v", err)
	}
	other()
	release()
	release()
	if held.Err() == nil {
		t.Error("a lock that was released is held")
	}
	start := time.Now()
	second, secondRelease, err := two.Exclusive(t.Context(), "move")
	if err != nil || time.Since(start) > 5*time.Second {
		t.Fatalf("after the release: %v, after %v", err, time.Since(start))
	}
	// Its holder is cut off, is told, and another follows.
	start = time.Now()
	two.nc.Close()
	_, again, err := one.Exclusive(t.Context(), "move")
	if err != nil {
		t.Fatal(err)
	}
	if second.Err() == nil {
		t.Error("the holder was not told before another followed")
	}
	if took := time.Since(start); took > store.MaxLapse {
		t.Errorf("a holder that died was followed after %v", took)
	}
	again()
	secondRelease()
	if _, _, err := one.Exclusive(t.Context(), "a b"); err == nil {
		t.Error("a lock with a space in its name: no error")
	}
}

// While no server runs, appends are ErrBroken and the state says why; then it
// goes on by itself.
func TestOutage(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "outage", nil)
	put := func(data string) error {
		// A step waits 20 s for a server.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return appendTo(ctx, s, greet, store.Frame{Data: []byte(data), Packets: 1})
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	got := make(chan []store.Lease, 1)
	var pulling sync.WaitGroup
	defer pulling.Wait()
	pulling.Go(func() {
		leases, _ := s.Pull(t.Context(), "in.later", 1)
		got <- leases
	})
	c.kill(0)
	testenv.Eventually(t, 10*time.Second, "the state says that there is no server", func() bool { return s.State().Err != nil })
	if err := s.State().Err.Error(); !strings.Contains(err, c.url()) {
		t.Errorf("the state does not name the server: %s", err)
	}
	if err := put("meanwhile"); !errors.Is(err, store.ErrBroken) {
		t.Errorf("append without a server: %v", err)
	}
	c.start(0)
	testenv.Eventually(t, 20*time.Second, "the store works again", func() bool { return s.State().Err == nil })
	if err := appendTo(t.Context(), s, "in.later", store.Frame{Data: []byte("after"), Packets: 1}); err != nil {
		t.Fatal(err)
	}
	if leases := <-got; len(leases) != 1 || string(leases[0].Data()) != "after" {
		t.Errorf("the pull that waited got %d frames", len(leases))
	}
	leases, err := s.Pull(t.Context(), greet, 1)
	if err != nil || string(leases[0].Data()) != "before" {
		t.Errorf("what was there before: %v", err)
	}
}

// The cluster's own limit is ErrFull, with and without a size of ours.
func TestClusterLimit(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) { o.JetStreamMaxStore = 8 << 20 })
	s := openOn(t, c, "limit", nil)
	data := make([]byte, 512<<10)
	for range 100 {
		err := appendTo(t.Context(), s, greet, store.Frame{Data: data, Packets: 1})
		if errors.Is(err, store.ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("the cluster takes more than its limit")
}

// What other nodes put counts as well.
func TestSizeIsShared(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	small := func(cfg *Config) { cfg.Size, cfg.Reserve = 1<<20, 1<<20 }
	one, two := openOn(t, c, "size", small), openOn(t, c, "size", small)
	data := make([]byte, 256<<10)
	for range 4 {
		if err := appendTo(t.Context(), one, greet, store.Frame{Data: data, Packets: 1}); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, 10*time.Second, "the other node refuses roots", func() bool {
		return two.State().Used >= 1<<20
	})
	if err := appendTo(t.Context(), two, greet, store.Frame{Data: data, Packets: 1}); !errors.Is(err, store.ErrFull) {
		t.Errorf("a root above the size: %v", err)
	}
	if err := appendTo(t.Context(), two, greet, store.Frame{Data: data, Packets: 1, Rank: store.Descendant}); err != nil {
		t.Errorf("a descendant in the reserve: %v", err)
	}
}

// Groups on one cluster never see each other.
func TestGroups(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	one, two := openOn(t, c, "a", nil), openOn(t, c, "A", nil)
	if err := appendTo(t.Context(), one, greet, store.Frame{Data: []byte("x"), Packets: 1}); err != nil {
		t.Fatal(err)
	}
	counts, err := two.Queues(t.Context())
	if err != nil || len(counts) > 0 {
		t.Errorf("the other group has %v, %v", counts, err)
	}
	if _, err := Open(t.Context(), Config{URLs: c.urls(), Group: "a.b"}); err == nil {
		t.Error("a group with a dot: no error")
	}
}
