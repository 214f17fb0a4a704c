package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// The injector has so many goroutines, each of which gives so many packets at a
// time and waits until they are stored.
const (
	senders    = 16
	atATime    = 64
	onTheirWay = senders * atATime
)

// payloads are n texts.
func payloads(n int) []string {
	return slices.Repeat([]string{strings.Repeat("x", payloadSize)}, n)
}

// manySenders is the injector that gives the same text from many goroutines until ctx
// ends.
func manySenders(c *chain) gofn.Func {
	texts := payloads(atATime)
	return func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
		return sendFrom(ctx, senders, &c.sent, func() []string { return texts })
	}
}

// sendFrom gives from so many goroutines, each of which waits until what it gave is
// stored, whatever next says, until that is nothing or ctx ends.
func sendFrom(ctx context.Context, senders int, sent *atomic.Int64, next func() []string) error {
	var group errgroup.Group
	for range senders {
		group.Go(func() error {
			for ctx.Err() == nil {
				texts := next()
				if len(texts) == 0 {
					return nil
				}
				if err := gofn.EmitAll(ctx, "", texts...); err != nil {
					return err
				}
				sent.Add(int64(len(texts)))
			}
			return nil
		})
	}
	return group.Wait()
}

func chainDisk(ctx context.Context, env Env) ([]Result, error) {
	on, closeStore, err := disk(ctx)
	if err != nil {
		return nil, err
	}
	c, err := startChainOn(ctx, env, on, new(transform()), manySenders, nil)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	c.uncertain = onTheirWay
	rate, err := rateOf(ctx, &c.got, env.span())
	return []Result{{"chain.disk", "packets/s", rate}}, errors.Join(err, c.finish(ctx), closeStore())
}

func chainMemory(ctx context.Context, env Env) ([]Result, error) {
	c, err := startChainOn(ctx, env, storage{pebble.InMemory(pebble.Config{Size: 1 << 30}), node.Memory}, new(transform()), manySenders, nil)
	if err != nil {
		return nil, err
	}
	c.uncertain = onTheirWay
	rate, err := rateOf(ctx, &c.got, env.span())
	return []Result{{"chain.memory", "packets/s", rate}}, errors.Join(err, c.finish(ctx))
}

// latencyDisk is the chain at 1,000 packets/s on disk.
func latencyDisk(ctx context.Context, env Env) ([]Result, error) {
	on, closeStore, err := disk(ctx)
	if err != nil {
		return nil, err
	}
	p50, p99, err := latencyOn(ctx, env, on, transform())
	return []Result{{"latency.disk.p50", "µs", p50}, {"latency.disk.p99", "µs", p99}}, errors.Join(err, closeStore())
}
