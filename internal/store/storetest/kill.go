package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// victimQueues is where it appends to.
var victimQueues = []store.Queue{greet, wait}

// beKilled does nothing in the process of the test. In one that it started, it
// uses a store until it is killed, and says what it does, a line each, on file
// 3: "append DATA" after the append, "lease DATA" after the pull, and "ack
// DATA" before the ack, since that may be done when the kill comes.
func beKilled(t *testing.T, k Kind) {
	dir := os.Getenv(victimEnv)
	if dir == "" {
		return
	}
	tell := os.NewFile(3, "tell")
	fail := func(err error) {
		fmt.Fprintln(tell, "failed", err)
		os.Exit(1)
	}
	s, err := k.Open(t.Context(), Options{Dir: dir})
	if err != nil {
		fail(err)
	}
	if os.Getenv(moverEnv) != "" {
		fail(beMover(t.Context(), s, tell))
	}
	for i := range 3 {
		go func() {
			for n := 0; ; n++ {
				to := victimQueues[n%2]
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
				if err := put(t.Context(), s, to, store.Frame{Data: victimData(name), Packets: 1}); err != nil {
					fail(err)
				}
				// Nobody reads any more if the test has ended.
				if _, err := fmt.Fprintln(tell, "append", name); err != nil {
					os.Exit(1)
				}
			}
		}()
	}
	for n := 0; ; n++ {
		leases, err := s.Pull(t.Context(), victimQueues[n%2], 3)
		if err != nil {
			fail(err)
		}
		for i, l := range leases {
			name := victimName(l.Data())
			fmt.Fprintln(tell, "lease", name)
			if i%2 == 1 {
				fmt.Fprintln(tell, "ack", name)
				if err := l.Ack(); err != nil {
					fail(err)
				}
			}
		}
	}
}

// victimData is the data of that name: of many lengths, and none the beginning
// of another's.
func victimData(name string) []byte {
	n := 0
	for _, c := range name {
		n = n*31 + int(c)
	}
	return []byte(name + " " + strings.Repeat(name[len(name)-1:], n%5000) + ".")
}

func victimName(data []byte) string {
	name, _, _ := strings.Cut(string(data), " ")
	return name
}

// testKill kills processes that use a store: what they appended is there, and
// what they had leased comes again.
func testKill(b *bench) {
	b.close()
	for round := range 4 {
		v := b.runVictim(false, 1+rand.IntN(400), time.Duration(rand.IntN(50))*time.Millisecond)
		killed := time.Now()
		b.open(0, 0)
		got := b.drain(v, killed)
		var lost, uncounted []string
		for name := range v.appended {
			if got[name] == nil && !v.acked[name] {
				lost = append(lost, name)
			}
		}
		for name, at := range v.leased {
			// One whose acknowledgement was under way had its verdict: a
			// store may have forgotten the count already.
			if l := got[name]; l != nil && !v.acked[name] && l.Deliveries() != 2 && killed.Sub(at) > b.kind.Lag {
				uncounted = append(uncounted, fmt.Sprintf("%s (%d)", name, l.Deliveries()))
			}
		}
		if len(lost) > 0 {
			b.Errorf("round %d: %d frames were appended and are lost: %s", round, len(lost), brief(lost...))
		}
		if len(uncounted) > 0 {
			b.Errorf("round %d: %d frames were leased before and do not have 2 deliveries: %s", round, len(uncounted), brief(uncounted...))
		}
		for _, l := range got {
			b.ack(l)
		}
		b.Logf("round %d: %d appended, %d leased, %d acknowledged; %d came again", round, len(v.appended), len(v.leased), len(v.acked), len(got))
		if b.Failed() {
			return // every further round could take as long as leases lapse
		}
		b.empty()
		b.close()
	}
}

// drain leases everything that the victim left, until it has what it must find.
func (b *bench) drain(v victim, killed time.Time) map[string]store.Lease {
	b.Helper()
	var mu sync.Mutex
	got := map[string]store.Lease{}
	want := 0
	for name := range v.appended {
		if !v.acked[name] {
			want++
		}
	}
	// A frame that it had leased is free again at the latest now.
	end := killed.Add(store.MaxLapse + soon)
	ctx, cancel := context.WithDeadline(b.Context(), end)
	defer cancel()
	var pullers sync.WaitGroup
	for _, queue := range victimQueues {
		pullers.Go(func() {
			for {
				leases, err := b.store.Pull(ctx, queue, 64)
				if err != nil {
					return
				}
				mu.Lock()
				for _, l := range leases {
					name := victimName(l.Data())
					if string(l.Data()) != string(victimData(name)) {
						b.Errorf("%s holds what nobody appended: %s", queue, brief(string(l.Data())))
					}
					if got[name] != nil {
						b.Errorf("%s came twice", name)
					}
					got[name] = l
					if v.appended[name] && !v.acked[name] {
						want--
					}
				}
				mu.Unlock()
			}
		})
	}
	b.eventually("all that was appended comes again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return want == 0 || ctx.Err() != nil
	})
	// What it did not tell of any more may be there as well.
	b.eventually("nothing more comes", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == b.frames() || ctx.Err() != nil
	})
	cancel()
	pullers.Wait()
	return got
}
