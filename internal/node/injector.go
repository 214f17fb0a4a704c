package node

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/recap/pumpkin/packet"
)

// startInjector runs h's injector from now on. The caller holds n.change.
func (n *Node) startInjector(h *host) {
	if !n.begun || !h.manifest.Contract.Injector() || h.stop != nil || n.onced[h.manifest.Name] {
		return
	}
	ctx, stop := context.WithCancel(n.injecting)
	h.stop = stop
	n.goroutines.Go(func() {
		defer close(h.ended)
		defer stop()
		h.inject(ctx)
	})
}

// inject runs the injector once, or as often as its pmk-every says, until ctx
// ends.
func (h *host) inject(ctx context.Context) {
	for round := 0; ; round++ {
		began := time.Now()
		h.injectRound(ctx, round)
		if ctx.Err() != nil {
			return
		}
		if h.manifest.Once {
			h.node.change.Lock()
			h.node.onced[h.manifest.Name] = true
			h.node.change.Unlock()
		}
		if h.manifest.Every == 0 {
			return
		}
		// Rounds begin at even distances; one that took longer than that
		// is followed at once by the next, and none is made up for.
		if !pause(ctx, h.manifest.Every-time.Since(began)) {
			return
		}
	}
}

// injectRound makes one run, tried again as a packet would be.
func (h *host) injectRound(ctx context.Context, round int) {
	s := h.slots[0]
	run := packet.Packet{ID: packet.HashID(h.node.cfg.Run, h.name, strconv.Itoa(round))}
	for {
		err := s.injectOnce(ctx, &run)
		if err == nil || ctx.Err() != nil {
			return
		}
		if run.Attempt > h.manifest.Retries {
			h.faults.warn(h.node, fmt.Sprintf("injector %s gave up after %d attempts", h.name, run.Attempt), err)
			return
		}
		delay := retryDelay(run.Attempt)
		h.faults.warn(h.node, fmt.Sprintf("injector %s failed, attempt %d of %d, next in %v",
			h.name, run.Attempt, h.manifest.Retries+1, delay.Round(10*time.Millisecond)), err)
		if !pause(ctx, delay) {
			return
		}
	}
}

// injectOnce runs the injector in the slot and returns its failure.
func (s *slot) injectOnce(ctx context.Context, run *packet.Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return nil
	}
	if err := s.open(ctx); err != nil {
		run.Attempt++
		return err
	}
	verdict := &injectorSink{slot: s}
	s.now, s.depth, s.timing, s.away = s.node.clock.now(), 0, false, 0
	s.ctx, s.batch = ctx, []packet.Packet{*run}
	s.done, s.emitting, s.index = 0, 0, 0
	s.in.Add(1)
	err := s.worker.Run(ctx, s.batch, verdict)
	s.idleSince = s.node.clock.now()
	if err != nil {
		s.close()
	} else {
		err = verdict.err
	}
	if err != nil && ctx.Err() == nil {
		run.Attempt++
		s.failed.Add(1)
	}
	return err
}

// An injectorSink keeps the verdict for the injector's loop.
type injectorSink struct {
	*slot
	err error
}

func (v *injectorSink) Done(_ int, err error) { v.err = err }

// pause waits for d; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
