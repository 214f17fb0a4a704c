package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// The delay before the n-th retry is firstDelay doubled n-1 times, at most
// maxDelay, and up to a quarter more or less, so that what failed together
// does not come back together.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = time.Minute
)

func retryDelay(attempt int) time.Duration {
	d := min(firstDelay<<min(attempt-1, 16), maxDelay)
	return d + time.Duration((rand.Float64()-0.5)*0.5*float64(d))
}

// fail takes the packet of a failed run: it is tried again later, or, after
// its last attempt, goes to the state Error:<seed>.
func (h *host) fail(p *packet.Packet, err error) {
	p.Attempt++
	s := h.slots[0]
	s.failed.Add(1)
	if p.State == "" {
		return // an injector's run: its loop decides
	}
	if p.Attempt > h.manifest.Retries {
		h.giveUp(p, err)
		return
	}
	delay := retryDelay(p.Attempt)
	h.faults.warn(h.node, fmt.Sprintf("seed %s failed on packet %s, attempt %d of %d, next in %v",
		h.name, p.ID, p.Attempt, h.manifest.Retries+1, delay.Round(10*time.Millisecond)), err)
	h.delay(*p, delay)
}

// again puts packets back that a broken worker had, to be run one at a time.
func (h *host) again(ps []packet.Packet) { h.pushAlone(0, ps...) }

func (h *host) pushAlone(released int, ps ...packet.Packet) {
	if err := h.queue.pushAlone(released, ps...); err != nil {
		for i := range ps {
			h.node.reroute(&ps[i], h)
		}
		return
	}
	h.kick()
}

// delay brings p back after d.
func (h *host) delay(p packet.Packet, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue.hold()
	if h.paused {
		h.node.goroutines.Go(func() { h.pushAlone(1, p) })
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		h.mu.Lock()
		_, mine := h.delayed[timer]
		delete(h.delayed, timer)
		h.mu.Unlock()
		if mine {
			h.pushAlone(1, p)
		}
	})
	h.delayed[timer] = p
}

// undelay takes the packets that wait for their next attempt, and lets later
// ones not wait.
func (h *host) undelay() []packet.Packet {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused = true
	out := make([]packet.Packet, 0, len(h.delayed))
	for timer, p := range h.delayed {
		timer.Stop()
		out = append(out, p)
	}
	clear(h.delayed)
	return out
}

// giveUp sends p to Error:<seed> with its data unchanged.
func (h *host) giveUp(p *packet.Packet, err error) {
	h.faults.warn(h.node, fmt.Sprintf("seed %s gave up on packet %s after %d attempts: it goes to %s",
		h.name, p.ID, p.Attempt, packet.ErrorState(h.name)), err)
	fault := &packet.Fault{Error: err.Error(), State: p.State, Attempts: p.Attempt}
	var run *runner.Fault
	if errors.As(err, &run) {
		fault.Output = run.Output
	}
	failed := *p
	failed.State, failed.Fault, failed.Attempt = packet.ErrorState(h.name), fault, 0
	failed.Rounds++
	failed.Trail = extend(nil, p, h.name, h.node.cfg.Name, time.Now())
	snap := h.node.snap.Load()
	if err := h.node.route(h.node.running, nil, &failed, snap.within(h, snap.dests(&failed))); err != nil {
		h.node.abandoned.Add(1)
	}
}

// A faultLog says what happened once: the same failure of a seed again within
// quiet is counted and told with the next line.
type faultLog struct {
	mu     sync.Mutex
	reason string
	told   time.Time
	more   int
}

const quiet = 10 * time.Second

func (f *faultLog) warn(n *Node, what string, err error) {
	f.mu.Lock()
	reason := err.Error()
	if reason == f.reason && time.Since(f.told) < quiet {
		f.more++
		f.mu.Unlock()
		n.log.Debug(what, "error", err)
		return
	}
	more := f.more
	f.reason, f.told, f.more = reason, time.Now(), 0
	f.mu.Unlock()
	args := []any{"error", err}
	var run *runner.Fault
	if errors.As(err, &run) && run.Output != "" {
		args = append(args, "output", run.Output)
	}
	if more > 0 {
		args = append(args, "more like the last", more)
	}
	n.log.Warn(what, args...)
}
