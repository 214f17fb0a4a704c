package node

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/memory"
	"github.com/recap/pumpkin/packet"
)

// TestFramesGrowUnderTheSenders has hundreds wait to get their packet into a frame
// of one, as they all do while a seed's cost is unknown. Once it is known they
// share frames: what holds is the size at the time they get in, not at the time
// they came.
func TestFramesGrowUnderTheSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 600
		s, gate := newRecorder(memory.New(memory.Config{})), make(chan struct{})
		s.refuse = func(store.Place, store.Frame) error {
			<-gate
			<-time.After(time.Millisecond) // in the bubble's time: until nobody can move
			return nil
		}
		n := New(Config{Name: "test", Store: s})
		var most atomic.Int64
		most.Store(1)
		c := &committer{node: n, lane: lane{place: store.Waiting("A:A")}, most: func() int { return int(most.Load()) }}
		var waiting sync.WaitGroup
		for range senders {
			waiting.Go(func() {
				f, err := c.add(t.Context(), &item{Packet: packet.Packet{ID: packet.NewID(), State: "A:A", Data: strings.Repeat("x", 10)}}, time.Time{})
				if err == nil {
					err = f.await(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all have come
		most.Store(store.MaxPackets)
		close(gate)
		waiting.Wait()
		n.goroutines.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if limit := maxFilled + 3*maxFlying + senders/store.MaxPackets; s.appended > limit {
			t.Errorf("%d packets went into %d frames; expected at most %d", senders, s.appended, limit)
		}
	})
}
