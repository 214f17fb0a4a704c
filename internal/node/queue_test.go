package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/packet"
)

// TestGrace holds the queue to when it calls off those who were asked for packets: at
// once without a grace, and with one unless there is room again before it ends.
func TestGrace(t *testing.T) {
	const ahead, grace = 2, 20 * time.Millisecond
	for name, tt := range map[string]struct {
		grace time.Duration
		room  time.Duration // when there is again; 0 is never
		ends  bool          // they are called off, after the grace
	}{
		"none":     {grace: 0, ends: true},
		"full":     {grace: grace, ends: true},
		"room":     {grace: grace, room: grace / 2},
		"too late": {grace: grace, room: 2 * grace, ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q queue
				await := func() context.Context {
					_, hungry, err := q.awaitPull(t.Context(), func() int { return ahead }, whole)
					if err != nil {
						t.Fatal(err)
					}
					return hungry
				}
				hungry, began := await(), time.Now()
				if err := q.pushPulled(make([]packet.Packet, ahead), unitsOf(ahead), tt.grace); err != nil {
					t.Fatal(err)
				}
				if tt.room > 0 {
					time.AfterFunc(tt.room, func() {
						q.take(&batch{}, ahead)
						await()
					})
				}
				select {
				case <-hungry.Done():
					if got := time.Since(began); !tt.ends || got != tt.grace {
						t.Errorf("called off after %v; expected %v after %v", got, tt.ends, tt.grace)
					}
				case <-time.After(time.Hour):
					if tt.ends {
						t.Errorf("not called off; expected after %v", tt.grace)
					}
				}
				q.close()
				if hungry.Err() == nil {
					t.Error("a queue that is closed does not call off")
				}
			})
		})
	}
}

// unitsOf are the units of a frame of n packets.
func unitsOf(n int) []unit {
	units := make([]unit, n)
	for i := range units {
		units[i].frame = &origin{}
	}
	return units
}
