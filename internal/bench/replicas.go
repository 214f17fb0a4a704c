package bench

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/packet"
)

// How long the replicas sleep for a packet: all of them, or in a mix one half and
// the other. The slow ones of a mix do a tenth of what the fast ones do, so that
// sharing by the number of packets would show.
const (
	sleepEven = 10 * time.Millisecond
	sleepFast = 5 * time.Millisecond
	sleepSlow = 50 * time.Millisecond
)

// replicas compares what so many replicas of a seed do with what one does alone.
func replicas(ctx context.Context, env Env, other func() *exec.Cmd, count int) ([]Result, error) {
	fast := (count + 1) / 2
	mixed := append(slices.Repeat([]time.Duration{sleepFast}, fast), slices.Repeat([]time.Duration{sleepSlow}, count-fast)...)
	var rates [5]float64
	for i, sleeps := range [][]time.Duration{
		{sleepEven}, slices.Repeat([]time.Duration{sleepEven}, count),
		{sleepFast}, {sleepSlow}, mixed,
	} {
		var err error
		if rates[i], err = drainRate(ctx, env, other, sleeps); err != nil {
			return nil, err
		}
	}
	one, even, mix := rates[0], rates[1], rates[4]
	ideal := float64(fast)*rates[2] + float64(count-fast)*rates[3]
	return []Result{
		{"replicas.one", "packets/s", one}, {"replicas", "packets/s", even}, {"replicas.times", "x", even / one},
		{"replicas.mix", "packets/s", mix}, {"replicas.mix.ideal", "packets/s", ideal}, {"replicas.mix.of.ideal", "%", 100 * mix / ideal},
	}, nil
}

// drainRate is how many packets/s nodes that sleep so long for each do, from when
// the first packet is given until the last is back. It takes about the span.
func drainRate(ctx context.Context, env Env, other func() *exec.Cmd, sleeps []time.Duration) (float64, error) {
	count, warm := 0, 8*len(sleeps) // each has to learn what a packet costs
	for _, d := range sleeps {
		count += max(1, int(env.span()/d))
	}
	var took time.Duration
	back := make(chan struct{}, warm+count)
	done := make(chan error, 1)
	_, end, err := startOver(ctx, env, other, sleeps, func(c *chain) gofn.Func {
		return func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
			give := func(n int) error {
				text := strings.Repeat("x", payloadSize)
				for texts := range slices.Chunk(slices.Repeat([]string{text}, n), atATime) {
					if err := gofn.EmitAll(ctx, "", texts...); err != nil {
						return err
					}
					c.sent.Add(int64(len(texts)))
				}
				for range n {
					select {
					case <-back:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			}
			err := give(warm)
			began := time.Now()
			if err == nil {
				err = give(count)
			}
			took = time.Since(began)
			done <- err
			return err
		}
	}, func(string) { back <- struct{}{} })
	if err != nil {
		return 0, err
	}
	limit := time.NewTimer(endWait + 20*env.span())
	defer limit.Stop()
	select {
	case err = <-done:
	case <-limit.C:
		err = errors.New("the packets do not come back")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err := errors.Join(err, end()); err != nil {
		return 0, err
	}
	return float64(count) / took.Seconds(), nil
}
