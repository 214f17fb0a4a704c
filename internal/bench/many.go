package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// manyChains is how many chains of their own one node has at a time.
const manyChains = 100

// chainDiskMany is the packets/s of many chains together on a node with a store on
// disk. Each injector gives one packet and waits until it is stored: so a frame holds
// one packet, and frames of different inboxes are under way at the same time.
func chainDiskMany(ctx context.Context, env Env) ([]Result, error) {
	on, closeStore, err := disk(ctx)
	if err != nil {
		return nil, err
	}
	c := &chain{ended: make(chan error, 1), uncertain: manyChains}
	var live atomic.Int64
	seeds, fns := c.many(manyChains, &live)
	if err := c.start(ctx, env, on, seeds, fns); err != nil {
		return nil, errors.Join(err, closeStore())
	}
	rate, err := rateOfAll(ctx, env, c, &live)
	return []Result{{"chain.disk.many", "packets/s", rate}}, errors.Join(err, c.finish(ctx), closeStore())
}

// many are the seeds of so many chains and their functions. live counts the chains
// that gave a result.
func (c *chain) many(chains int, live *atomic.Int64) (seeds []seed.Manifest, fns map[seed.Name]gofn.Func) {
	fns = map[seed.Name]gofn.Func{}
	add := func(kind string, i int, contract seed.Contract, fn gofn.Func) seed.Manifest {
		m := goSeed(seed.Name(fmt.Sprintf("%s-%d", kind, i)), contract)
		fns[m.Name] = fn
		return m
	}
	inject := oneByOne(flood)(c)
	var injectors []seed.Manifest
	for i := range chains {
		in := []packet.State{packet.State(fmt.Sprintf("%s%d", raw, i))}
		out := []packet.State{packet.State(fmt.Sprintf("%s%d", greeted, i))}
		var once sync.Once
		extract := func(ctx context.Context, p packet.Packet, emit gofn.Emit) error {
			once.Do(func() { live.Add(1) })
			return c.extract(ctx, p, emit)
		}
		seeds = append(seeds,
			add("extract", i, seed.Contract{In: out}, extract),
			add("transform", i, seed.Contract{In: in, Out: out}, hello))
		injectors = append(injectors, add("inject", i, seed.Contract{Out: in}, inject))
	}
	return append(seeds, injectors...), fns // acceptors before producers
}

// rateOfAll is [rateOf] from when every chain gives results: an inbox is made with
// its first packet, which is not measured.
func rateOfAll(ctx context.Context, env Env, c *chain, live *atomic.Int64) (float64, error) {
	for limit := time.Now().Add(time.Minute); live.Load() < manyChains; {
		if time.Now().After(limit) {
			return 0, fmt.Errorf("only %d of %d chains gave a result within a minute", live.Load(), manyChains)
		}
		if !pause.For(ctx, time.Millisecond) {
			return 0, ctx.Err()
		}
	}
	return rateOf(ctx, &c.got, env.span())
}
