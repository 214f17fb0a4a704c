package node

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// TestSendersShareCommits has hundreds of senders wait for the disk, each with a
// packet for a seed whose frames hold one, since nothing is known of its cost: they
// do not wait for one another.
func TestSendersShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 600
		s, gate := newRecorder(inMemory(t, pebble.Config{})), make(chan struct{})
		defer s.Close()
		s.refuse = func(store.Queue, store.Frame) error {
			<-gate
			return nil
		}
		n := New(Config{Name: "test", Store: s})
		c := n.committer(target{rank: store.Root})
		var waiting sync.WaitGroup
		for range senders {
			waiting.Go(func() {
				it := &item{Packet: packet.Packet{ID: packet.NewID(), State: "A:A", Data: strings.Repeat("x", 10)}}
				f, err := c.add(t.Context(), it, []lane{{queue: store.Inbox("a")}}, 0, bringer{})
				if err == nil {
					err = f.await(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all have come
		close(gate)
		waiting.Wait()
		n.goroutines.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if limit := 1 + maxFlying + senders/fullCommit; s.commits > limit {
			t.Errorf("%d packets took %d transactions; expected at most %d", senders, s.commits, limit)
		}
	})
}
