package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
)

func TestGiveBack(t *testing.T) {
	t.Parallel()
	here := time.Now()
	stored := here.Add(500 * 24 * time.Hour) // the cluster's clock is another
	at := func(d time.Duration) time.Time { return stored.Add(d) }
	for _, c := range []struct {
		name string
		d    delivery
		wait time.Duration
		due  bool
	}{
		{"at once", delivery{nth: 1, now: at(0)}, time.Minute, false},
		{"later", delivery{nth: 1, now: at(20 * time.Second)}, 40 * time.Second, false},
		{"only when it is due", delivery{nth: 1, now: at(time.Hour)}, 0, false},
		{"the clock is an hour behind", delivery{nth: 1, now: at(-time.Hour)}, time.Minute, false},
		{"in time", delivery{nth: 2, now: at(time.Minute), due: here}, 0, true},
		{"in time, by another", delivery{nth: 2, now: at(time.Minute)}, 0, true},
		{"in time, by another, with two clocks", delivery{nth: 2, now: at(time.Minute - delaySlack/2)}, 0, true},
		{"in time, the clock was set back", delivery{nth: 2, now: at(-time.Hour), due: here}, 0, true},
		{"what gave it back was lost", delivery{nth: 2, now: at(time.Hour), due: here.Add(54 * time.Second)}, 54 * time.Second, false},
		{"the same, by another", delivery{nth: 2, now: at(6 * time.Second)}, 54 * time.Second, false},
		{"the same, the clock was set back", delivery{nth: 2, now: at(-time.Hour)}, time.Minute, false},
		{"lost again", delivery{nth: 3, now: at(12 * time.Second), due: here.Add(48 * time.Second)}, 48 * time.Second, false},
		{"a third time", delivery{nth: 3, now: at(-time.Hour)}, 0, true},
	} {
		c.d.after, c.d.stored, c.d.here = time.Minute, stored, here
		if wait, due := c.d.giveBack(); wait != c.wait || due != c.due {
			t.Errorf("%s: given back for %v, due %v; expected %v, %v", c.name, wait, due, c.wait, c.due)
		}
	}
}

// delayed appends a frame with a delay.
func delayed(t *testing.T, s *Store, data string, after time.Duration) {
	t.Helper()
	if err := appendTo(t.Context(), s, greet, store.Frame{Data: []byte(data), Packets: 3, After: after}); err != nil {
		t.Fatal(err)
	}
}

// pullOne leases the next frame.
func pullOne(t *testing.T, s *Store, data string, deliveries int) store.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	leases, err := s.Pull(ctx, greet, 1)
	if err != nil {
		t.Fatalf("pull %.20q: %v", data, err)
	}
	if got := string(leases[0].Data()); got != data {
		t.Fatalf("pulled %.20q; expected %.20q", got, data)
	}
	if n := leases[0].Deliveries(); n != deliveries {
		t.Errorf("%.20q has %d deliveries; expected %d", data, n, deliveries)
	}
	return leases[0]
}

func TestDelayed(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	one, two := openOn(t, c, "delayed", nil), openOn(t, c, "delayed", nil)
	const after = 5 * time.Second
	largest := string(noise(4, store.MaxFrame))
	start := time.Now()
	delayed(t, one, largest, 2*after)
	delayed(t, one, "late", after)
	delayed(t, one, "now", 0)
	counts, err := two.Queues(t.Context())
	if err != nil || len(counts) != 1 || counts[0].Frames != 3 || counts[0].Packets != 9 || counts[0].Bytes != int64(len(largest)+len("late")+len("now")) {
		t.Errorf("delayed frames are counted as %+v, %v", counts, err)
	}
	var seen []string
	err = two.Look(t.Context(), greet, 0, func(r store.Stored) bool {
		seen = append(seen, fmt.Sprintf("%.4s", r.Data))
		late := r.NotBefore.Sub(start)
		switch {
		case string(r.Data) == "now":
			if !r.NotBefore.IsZero() || r.Number == 0 {
				t.Errorf("a frame without a delay is shown as number %d, not before %v", r.Number, r.NotBefore)
			}
		case r.Number != 0 || late < after-100*time.Millisecond || late > 2*after+time.Second:
			t.Errorf("a delayed frame is shown as number %d, not before %v", r.Number, late)
		}
		return true
	})
	if err != nil || fmt.Sprint(seen) != fmt.Sprint([]string{"now", "late", largest[:4]}) {
		t.Errorf("the frames are shown as %q, %v", seen, err)
	}
	now := pullOne(t, two, "now", 1)
	l := pullOne(t, two, "late", 1)
	if took := time.Since(start); took < after || took > after+time.Second {
		t.Errorf("a frame that was delayed for %v came after %v", after, took)
	}
	if err := l.Release(0); err != nil {
		t.Fatal(err)
	}
	again := pullOne(t, one, "late", 2)
	big := pullOne(t, one, largest, 1)
	if took := time.Since(start); took < 2*after {
		t.Errorf("a frame that was delayed for %v came after %v", 2*after, took)
	}
	for _, l := range []store.Lease{now, again, big} {
		if err := l.Ack(); err != nil {
			t.Error(err)
		}
	}
	// Nobody pulls until it is due.
	delayed(t, one, "unpulled", 50*time.Millisecond)
	due := time.NewTimer(100 * time.Millisecond)
	<-due.C
	if err := pullOne(t, two, "unpulled", 1).Release(0); err != nil {
		t.Fatal(err)
	}
	if err := pullOne(t, two, "unpulled", 2).Ack(); err != nil {
		t.Fatal(err)
	}
}

// A clock that is wrong holds no frame for longer than it was to wait.
func TestDelayedWrongClock(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "clock", nil)
	const after = time.Second
	year := time.Now().Add(-365 * 24 * time.Hour)
	start := time.Now()
	delayed(t, s, "late", after)
	s.clock.set(year)
	ctx, cancel := context.WithTimeout(t.Context(), after/2)
	defer cancel()
	if leases, err := s.Pull(ctx, greet, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%d frames came before they were due, %v", len(leases), err)
	}
	s.clock.set(year)
	pullOne(t, s, "late", 1)
	if took := time.Since(start); took > 2*after {
		t.Errorf("with a clock that is a year behind the frame came after %v", took)
	}
}

// A frame that a node was given before it was due, and that died of it, waits as
// long as it has to.
func TestDelayedLost(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "lost", nil)
	after := ackWait + 2*time.Second
	start := time.Now()
	delayed(t, s, "late", after)
	q := s.queue(greet)
	if err := s.ensureConsumer(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(c.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	msg, err := nc.RequestWithContext(t.Context(), "$JS.API.CONSUMER.MSG.NEXT."+q.stream+"."+consumer, []byte(`{"batch":1}`))
	if err != nil || string(msg.Data) != "late" {
		t.Fatalf("the other node was given %q, %v", msg.Data, err)
	}
	pullOne(t, s, "late", 2)
	if took := time.Since(start); took < after || took > after+2*time.Second {
		t.Errorf("it came after %v; expected %v", took, after)
	}
}
