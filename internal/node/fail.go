package node

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// fail takes the packet of a failed run: it is tried again later, or, after
// its last attempt, goes to the state Error:<seed>. If the run was cut off
// because the node ends, that was no attempt.
func (h *host) fail(it *item, err error) {
	var run *runner.Fault
	if errors.As(err, &run) && run.Cut && h.cutOff(it, err) {
		return
	}
	h.attempted(it, err)
}

// cutTime is how long after a run was cut off the node may be told to end for it
// to be no attempt: what ends a service sends a signal to all of its processes,
// and the run may have it first.
const cutTime = 2 * time.Second

// cutOff takes the packet of a run that a signal from outside has ended, until it
// is known whether the node ends as well: it is then where the next start finds it. It tells
// whether it took the packet: one that is lost with the node is better tried now.
func (h *host) cutOff(it *item, err error) bool {
	if it.from == nil || !h.node.durable() {
		return false
	}
	held := h.queue.hold()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.node.pulling.Err() != nil:
		h.queue.unhold(1)
		h.node.log.Info(fmt.Sprintf("seed %s was cut off on packet %s, which runs again when a node of this group starts", h.name, it.ID), "error", err)
		h.node.goroutines.Go(func() { h.later(it, 0) })
		return true
	case h.hurried || held > maxDelayed:
		h.queue.unhold(1)
		return false
	}
	h.after(it, cutTime, func(it *item) {
		h.queue.unhold(1)
		h.attempted(it, err)
	})
	return true
}

// attempted counts the attempt of a packet whose run failed.
func (h *host) attempted(it *item, err error) {
	delay, again := nextTry(&h.manifest, &it.Packet, err, h.node.pauseAfter, time.Now())
	it.Attempt++
	h.slots[0].failed.Add(1)
	if !again {
		h.deadLetter(it, err)
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
	h.faults.warn(h.node, attemptFailed, fmt.Sprintf("seed %s failed on packet %s, attempt %d%s, next in %v",
		h.name, it.ID, it.Attempt, of, delay.Round(10*time.Millisecond)), err, time.Now().Add(delay))
	h.delay(it, delay)
}

// again puts packets back that a broken worker had, to be run one at a time.
func (h *host) again(its []item) { h.pushAlone(0, its...) }

func (h *host) pushAlone(released int, its ...item) {
	if err := h.queue.pushAlone(released, its...); err != nil {
		for i := range its {
			h.node.reroute(&its[i], h)
		}
		return
	}
	h.kick()
}

const (
	// longDelay is a delay that a packet spends in the store, so that it
	// holds up neither its frame nor the packets behind it.
	longDelay = 2 * time.Second
	// maxDelayed is how many packets of a seed may wait for their next
	// attempt in memory where there is a store.
	maxDelayed = 128
)

// delay brings it back after d.
func (h *host) delay(it *item, d time.Duration) {
	held := h.queue.hold()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.hurried && !(it.from != nil && h.node.durable()):
		h.node.goroutines.Go(func() { h.pushAlone(1, *it) })
		return
	case it.from != nil && (d >= longDelay || held > maxDelayed || h.hurried):
		h.queue.unhold(1)
		h.node.goroutines.Go(func() { h.later(it, d) })
		return
	}
	h.after(it, d, func(it *item) { h.pushAlone(1, *it) })
}

// after keeps it in memory for d, and then hands it on, unless it was taken
// before. The caller holds h.mu.
func (h *host) after(it *item, d time.Duration, then func(*item)) {
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		h.mu.Lock()
		it, mine := h.delayed[timer]
		delete(h.delayed, timer)
		if mine {
			h.node.entering.Add(1) // what moves may start a goroutine
		}
		h.mu.Unlock()
		if mine {
			then(&it)
			h.node.entering.Add(-1)
		}
	})
	h.delayed[timer] = *it
}

// later stores it in the seed's inbox, to be tried again after d.
func (h *host) later(it *item, d time.Duration) {
	if _, err := h.node.storeAlone(h.node.running, it, h.inbox, d); err != nil {
		h.node.abandon(it)
	}
}

// undelay takes the packets that wait for their next attempt, and lets later
// ones not wait.
func (h *host) undelay() []item {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hurried = true
	out := make([]item, 0, len(h.delayed))
	for timer, it := range h.delayed {
		timer.Stop()
		out = append(out, it)
	}
	clear(h.delayed)
	return out
}

// hasten ends the waiting of those that wait for their next attempt, and lets
// later ones not wait.
func (h *host) hasten() {
	for _, it := range h.undelay() {
		if it.from != nil && h.node.durable() {
			h.queue.unhold(1)
			h.later(&it, 0)
		} else {
			h.pushAlone(1, it)
		}
	}
}

// deadLetter sends it to Error:<seed> with its data unchanged.
func (h *host) deadLetter(it *item, err error) {
	h.gaveUps.Add(1)
	after := ""
	if it.Attempt > 0 { // it was run, and did not end its node
		after = " after " + english.Plural(int(it.Attempt), "attempt", "")
	}
	h.faults.warn(h.node, gaveUp, fmt.Sprintf("seed %s gave up on packet %s%s: it goes to %s", h.name, it.ID, after, packet.ErrorState(h.name)), err, time.Time{})
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
	failed.Trail = h.extend(&it.Packet, time.Now())
	if hops := failed.Hops(); h.node.fit(&failed.Packet) {
		fault.Error = brief(fmt.Sprintf("%s (of the %d seeds that it came through only the last %d are named)", fault.Error, hops, failed.Hops()))
	}
	snap := h.node.snap.Load()
	to := snap.within(h, snap.dests(&failed.Packet))
	h.node.noteMove(&failed, h.name, to)
	if err := h.node.route(h.node.running, nil, &failed, to); err != nil {
		h.node.abandon(&failed)
	}
}

// brief is an error that a frame takes: at most as long as a tail of output, and
// its begin, where it says what it is.
func brief(text string) string {
	if len(text) <= runner.MaxTail {
		return text
	}
	return strings.ToValidUTF8(text[:runner.MaxTail], "") + "..."
}
