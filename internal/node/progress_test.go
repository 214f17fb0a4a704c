package node

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A fanOut is a frame of as many packets as a frame holds, each of which becomes
// several: some that nobody takes, and more for another seed than its queue holds.
// Some take longer than their frame waits for them.
type fanOut struct {
	rec  *recorder
	took sync.Map // ids that the last seed was given
}

const (
	fanWaits = 2 // outputs that nobody takes
	fanGoes  = 6 // outputs for the other seed: together more than maxQueued
)

func (f *fanOut) life(t *testing.T) *world {
	w := newStoredWorld(t, f.rec, Disk)
	var ran atomic.Int64
	gate := make(chan struct{}) // until most have run, the other seed is full
	open := sync.OnceFunc(func() { close(gate) })
	time.AfterFunc(time.Second, open) // a later life has fewer to run
	fan := w.seed("fan", "A:A -> B:B | C:C", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		for i := range fanWaits + fanGoes {
			state := packet.State("C:C")
			if i < fanWaits {
				state = "B:B"
			}
			if err := emit(state, fmt.Sprint(in.Data, ".", i)); err != nil {
				return err
			}
			if i == fanWaits && in.ID.Lo%16 == 0 {
				select { // a long run
				case <-time.After(2 * linger):
				case <-ctx.Done():
				}
			}
		}
		if ran.Add(1) >= store.MaxPackets-20 {
			open()
		}
		return nil
	})
	end := w.seed("end", "C:C ->", func(ctx context.Context, in packet.Packet, _ gofn.Emit) error {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.took.Store(in.ID, true)
		return nil
	})
	end.Workers = 1
	w.host(fan, end)
	w.start()
	return w
}

// TestKilledBetweenTransactions has a node die after each of its transactions, the
// one after the other, and another go on with what was stored then: all outputs
// get where they belong, and none is ever stored twice in one queue under one id.
func TestKilledBetweenTransactions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	died := true // and not beyond the last transaction
	for last := 2; died && last < 60; last += 1 + last/8 {
		t.Run(fmt.Sprint(last), func(t *testing.T) {
			f := &fanOut{rec: newRecorder(inMemory(t, pebble.Config{}))}
			f.rec.hurry = true
			ps := somePackets(store.MaxPackets, "A:A")
			appendFrame(t, f.rec, "in.fan", packet.FrameHeader{}, ps...)
			f.rec.last = last
			w := f.life(t)
			testenv.Eventually(t, 20*time.Second, "it dies or ends", func() bool {
				died = f.rec.alive() != nil
				return died || f.count() == len(ps)*fanGoes && w.quiet()
			})
			w.end()
			f.rec.revive()
			f.rec.mu.Lock()
			f.rec.last = 0
			f.rec.mu.Unlock()
			w = f.life(t)
			testenv.Eventually(t, 20*time.Second, "all arrive", func() bool { return f.count() == len(ps)*fanGoes })
			w.drain()
			w.end()
			waits := 0
			for _, r := range lying(t, f.rec, "wait.B.B") {
				waits += len(r.packets)
			}
			if waits != len(ps)*fanWaits {
				t.Errorf("%d packets wait; expected %d", waits, len(ps)*fanWaits)
			}
			for s, n := range f.rec.ever {
				if n > 1 {
					t.Fatalf("%s was stored %d times in %s", s.id, n, s.place)
				}
			}
		})
	}
	if died {
		t.Error("it died each time: later transactions were not tried")
	}
}

func (f *fanOut) count() (n int) {
	f.took.Range(func(any, any) bool { n++; return true })
	return n
}
