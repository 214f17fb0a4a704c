package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
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

// crowd is the injector that gives the same text from many goroutines until ctx
// ends.
func crowd(c *chain) gofn.Func {
	texts := payloads(atATime)
	return func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
		return crowdOf(ctx, senders, &c.sent, func() []string { return texts })
	}
}

// crowdOf gives from so many goroutines, each of which waits until what it gave is
// stored, whatever next says, until that is nothing or ctx ends.
func crowdOf(ctx context.Context, senders int, sent *atomic.Int64, next func() []string) error {
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

// openDisk opens the store on disk that every measurement uses, in a folder.
func openDisk(ctx context.Context, dir string) (store.Store, error) {
	return pebble.Open(ctx, pebble.Config{Dir: dir})
}

// disk opens a store on disk in a new folder, and gives what removes it.
func disk(ctx context.Context) (rest, func() error, error) {
	dir, err := os.MkdirTemp(".", "pmk-bench-")
	if err != nil {
		return rest{}, nil, err
	}
	s, err := openDisk(ctx, dir)
	if err != nil {
		return rest{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return rest{s, node.Disk}, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

func chainDisk(ctx context.Context, env Env) ([]Result, error) {
	on, closeStore, err := disk(ctx)
	if err != nil {
		return nil, err
	}
	c, err := startChainOn(ctx, env, on, new(transform()), crowd, nil)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	c.unsure = onTheirWay
	rate, err := rateOf(ctx, &c.got, env.span())
	return []Result{{"chain.disk", "packets/s", rate}}, errors.Join(err, c.finish(ctx), closeStore())
}

func chainMemory(ctx context.Context, env Env) ([]Result, error) {
	c, err := startChainOn(ctx, env, rest{pebble.InMemory(pebble.Config{Size: 1 << 30}), node.Memory}, new(transform()), crowd, nil)
	if err != nil {
		return nil, err
	}
	c.unsure = onTheirWay
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
