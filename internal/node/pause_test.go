package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// statusOf is what the node says of one seed.
func (w *world) statusOf(name seed.Name) SeedStatus {
	w.t.Helper()
	for _, s := range w.Status(w.t.Context()).Seeds {
		if s.Manifest.Name == name {
			return s
		}
	}
	w.t.Fatalf("the status names no seed %s", name)
	return SeedStatus{}
}

// TestPauseKeepsWhatIsQueued: a paused seed runs nothing, not even what was in its
// queue or waited for another attempt, and all of it runs once it is resumed.
func TestPauseKeepsWhatIsQueued(t *testing.T) {
	const packets = 100
	w := newWorld(t)
	var got basket
	running, free := make(chan struct{}), make(chan struct{})
	runs := sync.OnceFunc(func() { close(running) })
	slow := w.seed("slow", "A:A ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		runs()
		<-free
		if in.Attempt == 0 && in.Data == "0" {
			return errors.New("another time")
		}
		return got.run(ctx, in, emit)
	})
	slow.Retries = 1
	w.host(slow)
	w.start()
	for i := range packets {
		w.inject("A:A", fmt.Sprint(i), nil)
	}
	<-running
	if err := w.Pause(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	if err := w.Pause(t.Context(), "slow"); err != nil {
		t.Errorf("pausing what is paused: %v", err)
	}
	close(free)
	testenv.Eventually(t, 10*time.Second, "what ran has ended", func() bool { return w.statusOf("slow").Running == 0 })
	w.inject("A:A", "late", nil)
	testenv.Eventually(t, 10*time.Second, "what is left lies in the inbox", func() bool {
		s := w.statusOf("slow")
		return s.Paused && s.Queued == 0 && s.Stored == packets+1-got.count()
	})
	if n := got.count(); n >= packets {
		t.Errorf("%d packets ran although the seed was paused", n)
	}
	if err := w.Resume("slow"); err != nil {
		t.Fatal(err)
	}
	w.drain()
	seen := map[string]int{}
	for _, data := range got.data() {
		seen[data]++
	}
	if len(seen) != packets+1 || got.count() != packets+1 {
		t.Errorf("%d packets arrived, %d of them different; expected %d", got.count(), len(seen), packets+1)
	}
	if s := w.statusOf("slow"); s.Paused || s.InStates["A:A"] != s.In {
		t.Errorf("the status is %+v", s)
	}
}

// TestPauseHoldsAnInjector: its emit returns once it is resumed, and a pause
// outlasts a new version of the seed.
func TestPauseHoldsAnInjector(t *testing.T) {
	w := newWorld(t)
	var got basket
	more := make(chan string)
	inject := w.seed("inject", "-> A:A", func(ctx context.Context, _ packet.Packet, emit gofn.Emit) error {
		for {
			select {
			case data := <-more:
				if err := emit("", data); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	w.host(inject, w.seed("end", "A:A ->", got.run))
	w.start()
	more <- "first"
	testenv.Eventually(t, 10*time.Second, "the first arrives", func() bool { return got.count() == 1 })
	if err := w.Pause(t.Context(), "inject"); err != nil {
		t.Fatal(err)
	}
	more <- "second"
	if out := w.statusOf("inject").Out; out != 1 {
		t.Errorf("a paused injector has given %d packets", out)
	}
	if err := w.Resume("inject"); err != nil {
		t.Fatal(err)
	}
	more <- "third"
	testenv.Eventually(t, 10*time.Second, "all arrive", func() bool { return got.count() == 3 })
	if err := w.Pause(t.Context(), "end"); err != nil {
		t.Fatal(err)
	}
	end := w.seed("end", "A:A ->", got.run)
	end.Workers = 1
	w.host(end)
	if !w.statusOf("end").Paused {
		t.Error("the new version of a paused seed runs")
	}
	more <- "fourth"
	testenv.Eventually(t, 10*time.Second, "it lies in the inbox", func() bool { return w.statusOf("end").Stored == 1 })
	// A node ends although a paused seed has packets, and an injector is held.
	if err := w.Pause(t.Context(), "inject"); err != nil {
		t.Fatal(err)
	}
	more <- "fifth"
	w.drain()
	if got.count() != 3 {
		t.Errorf("a paused seed has run %d packets; expected 3", got.count())
	}
}

func TestPauseOfNoSeed(t *testing.T) {
	w := newWorld(t)
	if err := w.Pause(t.Context(), "nobody"); !errors.Is(err, ErrNotHosted) {
		t.Errorf("pausing a seed that is not hosted: %v", err)
	}
	if err := w.Resume("nobody"); !errors.Is(err, ErrNotHosted) {
		t.Errorf("resuming a seed that is not hosted: %v", err)
	}
}

// TestAFloodOfFailures is a line of each kind, whatever the errors say, and the first of
// a kind is told whatever came before it.
func TestAFloodOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var journal testenv.Journal
		log := journal.Log()
		var f faultLog
		for i := range 1000 {
			f.warn(log, attemptFailed, "seed s failed", fmt.Errorf("cannot reach 10.0.0.1:%d", i), time.Time{})
		}
		f.warn(log, gaveUp, "seed s gave up", errors.New("cannot reach 10.0.0.1:999"), time.Time{})
		time.Sleep(quiet)
		f.warn(log, attemptFailed, "seed s failed", errors.New("cannot reach 10.0.0.1:1"), time.Time{})
		if failed, gave := journal.Count("s failed"), journal.Count("gave up"); failed != 2 || gave != 1 || journal.Count("left_out=999") != 1 {
			t.Errorf("%d and %d lines:\n%s", failed, gave, journal.String())
		}
	})
}

// TestErrorsOfASeed: the last failures are remembered, the same ones together.
func TestErrorsOfASeed(t *testing.T) {
	var f faultLog
	for i := range 10 {
		f.remember(fmt.Sprint("reason ", i/2), "output", time.Now(), time.Time{})
	}
	f.remember("reason 3", "last", time.Now(), time.Unix(1, 0))
	got := f.errors()
	if len(got) != maxErrors || got[0].Error != "reason 3" || got[0].Count != 3 || got[0].Output != "last" || got[0].Next != time.Unix(1, 0) || got[1].Error != "reason 4" || got[1].Count != 2 {
		t.Errorf("remembered are %+v", got)
	}
}
