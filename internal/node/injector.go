package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// inject runs the injector once, or as often as its pmk-every says, until ctx
// ends. Of one that says pmk-once, once is called when a run has come to its end.
func (f *flow) inject(ctx context.Context, h *host, once func()) {
	r := &run{flow: f, host: h, slot: h.slots[0]}
	for due := time.Now(); ; {
		ended := r.injectDue(ctx, due)
		if ctx.Err() != nil {
			return
		}
		if h.manifest.Once && ended {
			once()
		}
		if h.manifest.Every == 0 {
			return
		}
		// Runs are due at even distances; one that took longer than that is
		// followed at once by the next, and none is made up for.
		due = due.Add(h.manifest.Every)
		if late := time.Since(due); late > 0 {
			due = due.Add(late)
			continue
		}
		h.starts.become(InjectorWaiting, due)
		if !pause.For(ctx, time.Until(due)) {
			return
		}
	}
}

// injection is the id of the run that is due then, after so many others have failed, in that start
// of the node. An injector that runs once has one run, however often it is cut short: what it gave
// before has the same ids when it gives it again; so has one that is due at a time. For any other
// each start is a run of its own: most follow a source that goes on meanwhile, and what comes of
// that now is not what came first.
func (h *host) injection(start string, due time.Time, failed int) packet.ID {
	run := start
	switch m := &h.manifest; {
	case m.Once:
		run = "once"
	case m.Every > 0:
		run = "due " + due.UTC().Format(time.RFC3339Nano)
	case failed > 0:
		run = fmt.Sprintf("%s after %d", run, failed)
	}
	return packet.HashID("injector", h.name, h.version(), run)
}

// injectDue makes the run that was due then, tries it again for as long as it
// fails, with the pauses of a packet, and tells whether it came to its end.
func (r *run) injectDue(ctx context.Context, due time.Time) (ended bool) {
	h := r.host
	tries := 0 // that failed, since one went well for a while
	var first time.Time
	for failed := 0; h.awaitResume(ctx) == nil && h.awaitLoaded(ctx) == nil; failed++ {
		h.starts.begin(time.Now())
		err := r.injectOnce(ctx, packet.Packet{ID: h.injection(r.cfg.Run, due, failed), Attempt: int32(min(failed, math.MaxInt32))})
		if errors.Is(err, errNoWorker) { // it is not a run
			h.starts.become(InjectorWaiting, time.Time{})
			failed--
			continue
		}
		if ctx.Err() != nil {
			return err == nil
		}
		row := h.starts.end(time.Now(), err)
		if err == nil {
			h.starts.become(InjectorEnded, time.Time{})
			return true
		}
		h.slots[0].failed.Add(1)
		if tries++; row == 1 {
			tries = 1
		}
		if tries == 1 {
			first = time.Now()
		}
		delay, again := h.nextStart(tries, first, err, r.pauseAfter)
		if !again {
			h.faults.warn(r.log, injectorGaveUp, fmt.Sprintf("injector %s gave up after %s, as it or its pmk-retries says", h.name, english.Plural(tries, "attempt", "")), err, time.Time{}, "seed", h.name)
			h.starts.become(InjectorGaveUp, time.Time{})
			return false
		}
		h.faults.warn(r.log, injectorFailed, fmt.Sprintf("injector %s failed, attempt %d, and is started again in %v", h.name, tries, delay.Round(10*time.Millisecond)), err, time.Now().Add(delay), "seed", h.name)
		h.starts.become(InjectorFailed, time.Now().Add(delay))
		if !pause.For(ctx, delay) {
			return false
		}
	}
	return false
}

// nextStart tells whether an injector is started again after so many failures in a row, the first
// of which was then, and after which pause.
func (h *host) nextStart(failures int, first time.Time, err error, after func(int32) time.Duration) (pause time.Duration, again bool) {
	m := h.manifest
	if m.Retries == seed.Unlimited && m.RetryFor == 0 {
		m.Retries = math.MaxInt
	}
	run := packet.Packet{Attempt: int32(min(failures-1, math.MaxInt32)), Extra: &packet.Extra{Failing: first.Unix()}}
	return nextTry(&m, &run, err, after, time.Now())
}
