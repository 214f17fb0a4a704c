package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestStartsInARow: what fails in a row is counted until a run ends well, or goes on for a while.
func TestStartsInARow(t *testing.T) {
	var s starts
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	no := errors.New("no broker")
	for i, run := range []struct {
		took time.Duration
		err  error
		row  int
	}{
		{time.Second, no, 1}, {soundRun - 1, no, 2}, {0, no, 3}, {soundRun, no, 1}, {time.Second, no, 2}, {0, nil, 0}, {time.Hour, nil, 0}, {0, no, 1},
	} {
		s.begin(at)
		at = at.Add(run.took)
		if got := s.end(at, run.err); got != run.row {
			t.Errorf("after run %d there are %d failures in a row, want %d", i, got, run.row)
		}
	}
	s.begin(at)
	if early, late := s.status(at.Add(soundRun-1)), s.status(at.Add(soundRun)); early.Failed != 1 || late.Failed != 0 {
		t.Errorf("while it runs the failures are %+v, then %+v", early, late)
	}
}

// TestAnInjectorIsStartedForEver: one that fails more often than a packet may is
// started again until it comes to its end, each time as a run of its own, and the
// status says all of that.
func TestAnInjectorIsStartedForEver(t *testing.T) {
	const failures = 5
	w := newWorld(t)
	var end basket
	fail := make(chan struct{}, failures)
	source := w.seed("source", "-> A:A", func(ctx context.Context, run packet.Packet, emit gofn.Emit) error {
		if err := emit("", "x"); err != nil || run.Attempt == failures {
			return err
		}
		select {
		case <-fail:
		case <-ctx.Done():
		}
		return errors.New("no broker")
	})
	source.Retries = seed.Unlimited
	w.host(source, w.seed("end", "A:A ->", end.run))
	if i := w.statusOf("source").Injector; i == nil || i.State != InjectorWaiting {
		t.Errorf("before its start it is %+v", i)
	}
	w.start()
	testenv.Eventually(t, 10*time.Second, "it runs", func() bool { return w.statusOf("source").Injector.State == InjectorRunning })
	for i := range failures {
		fail <- struct{}{}
		testenv.Eventually(t, 30*time.Second, "the failure is shown", func() bool { return w.statusOf("source").Injector.Failed == i+1 })
	}
	testenv.Eventually(t, 30*time.Second, "it has ended", func() bool { return w.statusOf("source").Injector.State == InjectorEnded })
	s := w.statusOf("source")
	if s.Injector.Failed != 0 || s.Failed != failures || s.In != failures+1 || len(s.Errors) != 1 || s.Errors[0].Error != "no broker" || s.Errors[0].Count != failures {
		t.Errorf("in the end the status is %+v, %+v", s, s.Injector)
	}
	testenv.Eventually(t, 10*time.Second, "all of it arrives", func() bool { return end.count() == failures+1 })
	w.drain()
	ids := map[packet.ID]bool{}
	for _, p := range end.got {
		ids[p.ID] = true
	}
	if len(ids) != failures+1 {
		t.Errorf("%d starts gave packets of %d ids", failures+1, len(ids))
	}
	if s := w.statusOf("end"); s.Injector != nil {
		t.Errorf("a seed that is no injector is %+v", s.Injector)
	}
}

// TestAnInjectorGivesUp after pmk-retries, and between is shown with what comes next.
func TestAnInjectorGivesUp(t *testing.T) {
	w := newWorld(t)
	source := w.seed("source", "-> A:A", func(context.Context, packet.Packet, gofn.Emit) error { return errors.New("no broker") })
	source.Retries = 2
	w.host(source)
	w.start()
	waited := false
	testenv.Eventually(t, 30*time.Second, "it gives up", func() bool {
		i := w.statusOf("source").Injector
		if i.State == InjectorFailed && i.Next.IsZero() {
			t.Errorf("it is to be started again, nobody knows when: %+v", i)
		}
		waited = waited || i.State == InjectorFailed && i.Failed == 2
		return i.State == InjectorGaveUp
	})
	if i := w.statusOf("source").Injector; i.Failed != 3 || !i.Next.IsZero() {
		t.Errorf("it gave up as %+v", i)
	}
	if !waited {
		t.Error("it was never shown as one that has failed twice and is started again")
	}
}
