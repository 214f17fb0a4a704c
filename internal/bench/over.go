package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Over lists the measurements over so many nodes; the other nodes are processes
// that call [ServeOther].
func Over(nodes int, other func() *exec.Cmd) ([]Bench, error) {
	on := func(name, about string, run func(context.Context, Env, func() *exec.Cmd) ([]Result, error)) Bench {
		return besideFsync(Bench{name, about, func(ctx context.Context, env Env) ([]Result, error) { return run(ctx, env, other) }})
	}
	switch {
	case nodes == 2:
		return []Bench{
			on("chain.disk.two", "the transform on another node, stores on disk, 16 senders of 64 packets", chainDiskTwo),
			on("latency.disk.two", "chain.disk.two at 1,000 packets/s", latencyDiskTwo),
		}, nil
	case nodes > 2 && nodes <= mostNodes:
		return []Bench{on("replicas", "a seed that sleeps, on each of the other nodes, beside one alone", func(ctx context.Context, env Env, other func() *exec.Cmd) ([]Result, error) {
			return replicas(ctx, env, other, nodes-1)
		})}, nil
	}
	return nil, fmt.Errorf("--nodes %d: there are measurements of 1 node to %d", nodes, mostNodes)
}

func chainDiskTwo(ctx context.Context, env Env, other func() *exec.Cmd) ([]Result, error) {
	c, end, err := startOver(ctx, env, other, []time.Duration{0}, manySenders, nil)
	if err != nil {
		return nil, err
	}
	c.uncertain = onTheirWay
	rate, err := rateOf(ctx, &c.got, env.span())
	return []Result{{"chain.disk.two", "packets/s", rate}}, errors.Join(err, end())
}

func latencyDiskTwo(ctx context.Context, env Env, other func() *exec.Cmd) ([]Result, error) {
	w := newStopwatch(int(env.span() / pace))
	_, end, err := startOver(ctx, env, other, []time.Duration{0}, oneByOne(paced(w.base, w.want)), w.arrived)
	if err != nil {
		return nil, err
	}
	err = w.wait(ctx)
	if err := errors.Join(err, end()); err != nil {
		return nil, err
	}
	p50, p99, err := w.percentiles()
	return []Result{{"latency.disk.two.p50", "µs", p50}, {"latency.disk.two.p99", "µs", p99}}, err
}

// The chain over several nodes: inject and extract here, the transform on nodes in
// processes of their own, reached over TCP on the loopback interface with mutual
// TLS, all with stores on disk.

// mostNodes is how many nodes one machine measures at a time.
const mostNodes = 64
