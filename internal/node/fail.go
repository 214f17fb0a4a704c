package node

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// fail takes the packet of a failed run: it is tried again later, or, after
// its last attempt, goes to the state Error:<seed>. If the run was cut off
// because the node ends, that was no attempt.
func (f *flow) fail(h *host, it *item, err error) {
	var run *runner.Fault
	if errors.As(err, &run) && run.Cut && f.cutOff(h, it, err) {
		return
	}
	f.attempted(h, it, err)
}

// cutOff takes the packet of a run that a signal from outside has ended, until it
// is known whether the node ends as well: it is then where the next start finds it. It tells
// whether it took the packet: one that is lost with the node is better tried now.
func (f *flow) cutOff(h *host, it *item, err error) bool {
	if it.from == nil || !f.durable() {
		return false
	}
	held := h.queue.hold()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case f.pulling.Err() != nil:
		h.queue.unhold(1)
		f.log.Info(fmt.Sprintf("seed %s was cut off on packet %s, which runs again when a node of this group starts", h.name, it.ID), "error", err, "seed", h.name, "packet", it.ID)
		f.goroutines.Go(func() { f.later(h, it, 0) })
		return true
	case h.hurried || held > maxDelayed:
		h.queue.unhold(1)
		return false
	}
	f.after(h, it, f.cutTime, func(it *item) {
		h.queue.unhold(1)
		f.attempted(h, it, err)
	})
	return true
}

// attempted counts the attempt of a packet whose run failed.
func (f *flow) attempted(h *host, it *item, err error) {
	delay, again := nextTry(&h.manifest, &it.Packet, err, f.pauseAfter, time.Now())
	if it.Attempt < math.MaxInt32 {
		it.Attempt++
	}
	h.slots[0].failed.Add(1)
	if !again {
		f.deadLetter(h, it, err)
		return
	}
	if h.manifest.RetryFor > 0 && it.Extra.Since() == 0 {
		it.Extra = it.Extra.FailingSince(time.Now().Unix())
	}
	h.retries.Add(1)
	of := fmt.Sprintf(" of %d", h.manifest.Retries+1)
	if h.manifest.RetryFor > 0 {
		of = ""
	}
	h.faults.warn(f.log, attemptFailed, fmt.Sprintf("seed %s failed on packet %s, attempt %d%s, next in %v",
		h.name, it.ID, it.Attempt, of, delay.Round(10*time.Millisecond)), err, time.Now().Add(delay), "seed", h.name, "packet", it.ID)
	f.delay(h, it, delay)
}

// again puts packets back that a broken worker had, to be run one at a time.
func (f *flow) again(h *host, its []item) { f.pushAlone(h, 0, its...) }

func (f *flow) pushAlone(h *host, released int, its ...item) {
	if err := h.queue.pushAlone(released, its...); err != nil {
		for i := range its {
			f.reroute(&its[i], h)
		}
		return
	}
	h.wake()
}

const (
	// longDelay is a delay that a packet spends in the store, so that it
	// holds up neither its frame nor the packets behind it. One that another
	// node may try next spends any there.
	longDelay = 2 * time.Second
	// maxDelayed is how many packets of a seed may wait for their next
	// attempt in memory where there is a store.
	maxDelayed = 128
)

// delay brings it back after d.
func (f *flow) delay(h *host, it *item, d time.Duration) {
	held := h.queue.hold()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.hurried && !(it.from != nil && f.durable()):
		f.goroutines.Go(func() { f.pushAlone(h, 1, *it) })
		return
	case it.from != nil && (d >= longDelay || held > maxDelayed || h.hurried || it.from.frame.peer == nil && h.gate.visited()):
		h.queue.unhold(1)
		f.goroutines.Go(func() { f.later(h, it, d) })
		return
	}
	f.after(h, it, d, func(it *item) { f.pushAlone(h, 1, *it) })
}

// after keeps it in memory for d, and then hands it on, unless it was taken
// before. The caller holds h.mu.
func (f *flow) after(h *host, it *item, d time.Duration, then func(*item)) {
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		h.mu.Lock()
		it, mine := h.delayed[timer]
		delete(h.delayed, timer)
		if mine {
			f.entering.Add(1) // what moves may start a goroutine
		}
		h.mu.Unlock()
		if mine {
			then(&it)
			f.entering.Add(-1)
		}
	})
	h.delayed[timer] = *it
}

// later stores it in the seed's inbox, to be tried again after d.
func (f *flow) later(h *host, it *item, d time.Duration) {
	if _, err := f.storeAlone(f.running, it, h.inbox, d); err != nil {
		f.abandon(it)
	}
}

// hasten ends the waiting of those that wait for their next attempt, and lets
// later ones not wait.
func (f *flow) hasten(h *host) {
	for _, it := range h.undelay() {
		if it.from != nil && f.durable() {
			h.queue.unhold(1)
			f.later(h, &it, 0)
		} else {
			f.pushAlone(h, 1, it)
		}
	}
}

// deadLetter sends it to Error:<seed> with its data unchanged.
func (f *flow) deadLetter(h *host, it *item, err error) {
	h.gaveUps.Add(1)
	after := ""
	if it.Attempt > 0 { // it was run, and did not end its node
		after = " after " + english.Plural(int(it.Attempt), "attempt", "")
	}
	h.faults.warn(f.log, gaveUp, fmt.Sprintf("seed %s gave up on packet %s%s: it goes to %s", h.name, it.ID, after, packet.ErrorState(h.name)), err, time.Time{}, "seed", h.name, "packet", it.ID)
	fault := &packet.Fault{Error: brief(err.Error()), State: it.State, Attempts: int(it.Attempt)}
	var run *runner.Fault
	if errors.As(err, &run) {
		fault.Output = run.Output
	}
	failed := *it
	failed.State, failed.Fault, failed.Attempt = packet.ErrorState(h.name), fault, 0
	if failed.Extra.Since() != 0 {
		failed.Extra = failed.Extra.FailingSince(0)
	}
	failed.DeadLetters++
	failed.Trail = h.extend(&it.Packet, f.cfg.Name, time.Now())
	if hops := failed.Hops(); f.fit(&failed.Packet) {
		fault.Error = brief(fmt.Sprintf("%s (of the %d seeds that it came through only the last %d are named)", fault.Error, hops, failed.Hops()))
	}
	snap := f.snap.Load()
	to := snap.within(h, snap.dests(&failed.Packet))
	f.noteMove(&failed, h.name, to)
	if err := f.route(f.running, &failed, to); err != nil {
		f.abandon(&failed)
	}
}
