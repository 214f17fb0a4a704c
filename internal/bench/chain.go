package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// payloadSize is the length of every injected text, in bytes.
const payloadSize = 128

const prefix = "Hello "

const (
	raw     packet.State = "String:UNGREETED"
	greeted packet.State = "String:GREETING"
)

// A source gives texts until emit fails or ctx ends.
type source func(ctx context.Context, emit func(data string) error) error

// An injector is the function of a chain's first seed, which counts what it has
// sent.
type injector func(c *chain) gofn.Func

// oneByOne is the injector that gives the texts of src one after the other.
func oneByOne(src source) injector {
	return func(c *chain) gofn.Func {
		return func(ctx context.Context, _ packet.Packet, emit gofn.Emit) error {
			return src(ctx, func(data string) error {
				if err := emit("", data); err != nil {
					return err
				}
				c.sent.Add(1)
				return nil
			})
		}
	}
}

// flood gives the same text as fast as it is taken, until ctx ends.
func flood(ctx context.Context, emit func(string) error) error {
	text := strings.Repeat("x", payloadSize)
	for ctx.Err() == nil {
		if err := emit(text); err != nil {
			return err
		}
	}
	return nil
}

// A chain is inject -> transform -> extract on a node of its own.
type chain struct {
	node      *node.Node
	sent, got atomic.Int64
	wrong     atomic.Int64
	arrived   func(data string) // may be nil
	stop      context.CancelFunc
	ended     chan error
	// uncertain is how many packets may arrive though their emit failed: those
	// that were on their way into the store when the node ended.
	uncertain int64
}

// goSeed is the manifest of a Go seed of the chain.
func goSeed(name seed.Name, c seed.Contract) seed.Manifest {
	return seed.Manifest{Name: name, Kind: seed.Go, Contract: c, Retries: 0}
}

// transform is the chain's Go transform.
func transform() seed.Manifest {
	return goSeed("transform", seed.Contract{In: []packet.State{raw}, Out: []packet.State{greeted}})
}

// startChain runs a chain whose injector is src and whose transform is middle.
func startChain(ctx context.Context, env Env, middle seed.Manifest, src source, arrived func(string)) (*chain, error) {
	return startChainOn(ctx, env, inMemory(), &middle, oneByOne(src), arrived)
}

// hello is the function of the chain's Go transform.
func hello(_ context.Context, in packet.Packet, emit gofn.Emit) error {
	return emit("", prefix+in.Data)
}

// startChainOn is startChain on a store. A middle that is nil is on another node.
func startChainOn(ctx context.Context, env Env, on storage, middle *seed.Manifest, first injector, arrived func(string)) (*chain, error) {
	c := &chain{arrived: arrived, ended: make(chan error, 1)}
	fns := map[seed.Name]gofn.Func{
		"inject":    first(c),
		"transform": hello,
		"extract":   c.extract,
	}
	seeds := []seed.Manifest{goSeed("extract", seed.Contract{In: []packet.State{greeted}})}
	if middle != nil {
		seeds = append(seeds, *middle)
	}
	seeds = append(seeds, goSeed("inject", seed.Contract{Out: []packet.State{raw}}))
	return c, c.start(ctx, env, on, seeds, fns)
}

// start starts the chain's node with seeds; fns are the functions of those in Go.
func (c *chain) start(ctx context.Context, env Env, on storage, seeds []seed.Manifest, fns map[seed.Name]gofn.Func) error {
	c.node = node.New(node.Config{
		Name: "bench", Store: on.store, Blobs: blob.Open(blob.Config{}), Durability: on.durability,
		Kinds: env.with(func(m seed.Manifest) gofn.Func { return fns[m.Name] }),
	})
	running, stop := context.WithCancel(ctx)
	c.stop = stop
	go func() { c.ended <- c.node.Run(running) }()
	if err := c.host(ctx, seeds); err != nil {
		c.stop()
		<-c.ended
		return err
	}
	return nil
}

// host hosts the seeds, injectors when all others are loaded: what they gave before
// would only lie in the store.
func (c *chain) host(ctx context.Context, seeds []seed.Manifest) error {
	var injectors, others []seed.Manifest
	for _, m := range seeds {
		if m.Contract.Injector() {
			injectors = append(injectors, m)
		} else {
			others = append(others, m)
		}
	}
	err := errors.Join(c.node.Host(ctx, others...)...)
	for _, m := range others {
		if err == nil {
			err = c.node.Loaded(ctx, m.Name)
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(c.node.Host(ctx, injectors...)...)
}

// fedOnDisk is a chain on disk without an injector: its packets come from outside.
func fedOnDisk(ctx context.Context, env Env) (c *chain, closeStore func() error, err error) {
	on, closeStore, err := disk(ctx)
	if err != nil {
		return nil, nil, err
	}
	c = &chain{ended: make(chan error, 1)}
	seeds := []seed.Manifest{goSeed("extract", seed.Contract{In: []packet.State{greeted}}), transform()}
	if err := c.start(ctx, env, on, seeds, map[seed.Name]gofn.Func{"extract": c.extract, "transform": hello}); err != nil {
		return nil, nil, errors.Join(err, closeStore())
	}
	return c, closeStore, nil
}

// extract is the function of the chain's last seed.
func (c *chain) extract(_ context.Context, in packet.Packet, _ gofn.Emit) error {
	c.receive(in.Data)
	return nil
}

// receive checks and counts one result.
func (c *chain) receive(data string) {
	if len(data) != len(prefix)+payloadSize || !strings.HasPrefix(data, prefix) {
		c.wrong.Add(1)
	}
	if c.arrived != nil {
		c.arrived(data)
	}
	c.got.Add(1)
}

// finish drains the chain and checks that every packet arrived, and right.
func (c *chain) finish(ctx context.Context) error {
	err := c.node.Finish(ctx)
	c.stop()
	err = errors.Join(err, <-c.ended)
	if err != nil {
		return err
	}
	if sent, got, wrong := c.sent.Load(), c.got.Load(), c.wrong.Load(); got < sent || got > sent+c.uncertain || wrong > 0 {
		return fmt.Errorf("%d packets were sent, %d arrived, %d of them wrong", sent, got, wrong)
	}
	return nil
}

// throughput is packets/s at the end of the chain over span, after a quarter
// of it to warm up.
func throughput(ctx context.Context, env Env, middle seed.Manifest) (float64, error) {
	c, err := startChain(ctx, env, middle, flood, nil)
	if err != nil {
		return 0, err
	}
	rate, err := rateOf(ctx, &c.got, env.span())
	return rate, errors.Join(err, c.finish(ctx))
}

// rateOf is how fast count grows over span, once it has begun to, and after a
// quarter of span to warm up.
func rateOf(ctx context.Context, count *atomic.Int64, span time.Duration) (float64, error) {
	for limit := time.Now().Add(10 * time.Second); count.Load() == 0; {
		if time.Now().After(limit) {
			return 0, errors.New("nothing has arrived for 10 s")
		}
		if !pause.For(ctx, time.Millisecond) {
			return 0, ctx.Err()
		}
	}
	if !pause.For(ctx, span/4) {
		return 0, ctx.Err()
	}
	began, before := time.Now(), count.Load()
	if !pause.For(ctx, span) {
		return 0, ctx.Err()
	}
	return float64(count.Load()-before) / time.Since(began).Seconds(), nil
}

func chainNone(ctx context.Context, env Env) ([]Result, error) {
	node, err := throughput(ctx, env, transform())
	if err != nil {
		return nil, err
	}
	bare, err := channels(ctx, env)
	if err != nil {
		return nil, err
	}
	return []Result{{"chain.none", "packets/s", node}, {"chain.channels", "packets/s", bare}}, nil
}

// channels is the same work in three goroutines that bare channels join.
func channels(ctx context.Context, env Env) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := new(chain)
	ended := c.bare(ctx, flood)
	rate, err := rateOf(ctx, &c.got, env.span())
	cancel()
	<-ended
	if c.sent.Load() != c.got.Load() || c.wrong.Load() > 0 {
		err = errors.Join(err, errors.New("the bare channels lost a text"))
	}
	return rate, err
}

// bare runs the chain over channels until ctx ends; the channel it returns is
// closed when all has arrived.
func (c *chain) bare(ctx context.Context, src source) <-chan struct{} {
	texts, greetings := make(chan string, 1024), make(chan string, 1024)
	ended := make(chan struct{})
	go func() {
		defer close(texts)
		src(ctx, func(data string) error { // the only error is ctx's
			texts <- data
			c.sent.Add(1)
			return nil
		})
	}()
	go func() {
		defer close(greetings)
		for text := range texts {
			greetings <- prefix + text
		}
	}()
	go func() {
		defer close(ended)
		for greeting := range greetings {
			c.receive(greeting)
		}
	}()
	return ended
}
