package node

import (
	"context"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestAnIdleNodeIsNotWoken, and one that works says what that costs.
func TestAnIdleNodeIsNotWoken(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	w.host(w.seed("s", "T:S ->", func(context.Context, packet.Packet, gofn.Emit) error {
		time.Sleep(5 * time.Millisecond)
		<-gate
		return nil
	}))
	w.start()
	for range 2 {
		testenv.Eventually(t, 10*time.Second, "nobody looks", w.watch.asleep.Load)
		w.inject("T:S", "x", nil)
		testenv.Eventually(t, 10*time.Second, "somebody looks", func() bool { return !w.watch.asleep.Load() })
		gate <- struct{}{}
		testenv.Eventually(t, 10*time.Second, "peers are told", func() bool { return w.Card().Seeds[0].Cost > 0 })
	}
	testenv.Eventually(t, 10*time.Second, "nobody looks any more", w.watch.asleep.Load)
}
