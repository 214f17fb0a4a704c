package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/seed"
)

// pace is the distance of two packets in the latency measurements: 1,000 a
// second.
const pace = time.Millisecond

// paced gives a text every pace that holds the time it was given at, as
// nanoseconds since base, and ends after n.
func paced(base time.Time, n int) source {
	return func(ctx context.Context, emit func(string) error) error {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		pad := strings.Repeat(" ", payloadSize)
		for range n {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			stamp := strconv.FormatInt(int64(time.Since(base)), 10)
			if err := emit(stamp + pad[len(stamp):]); err != nil {
				return err
			}
		}
		return nil
	}
}

// A stopwatch collects how long texts took.
type stopwatch struct {
	base time.Time
	want int
	full chan struct{} // closed when want texts have arrived

	mu    sync.Mutex
	times []time.Duration
	err   error
}

func newStopwatch(want int) *stopwatch {
	return &stopwatch{base: time.Now(), want: want, full: make(chan struct{})}
}

func (w *stopwatch) arrived(data string) {
	now := time.Since(w.base)
	stamp, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(data, prefix)), 10, 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.err = err
	}
	if w.times = append(w.times, now-time.Duration(stamp)); len(w.times) == w.want {
		close(w.full)
	}
}

// percentiles are the p50 and p99 in µs, without the first tenth, which warms
// up.
func (w *stopwatch) percentiles() (p50, p99 float64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	times := slices.Clone(w.times[len(w.times)/10:])
	if len(times) == 0 {
		return 0, 0, errors.Join(w.err, errors.New("nothing arrived"))
	}
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))].Nanoseconds()) / 1e3
	}
	return at(0.5), at(0.99), w.err
}

// latency is the chain's p50 and p99 at 1,000 packets/s, in µs.
func latency(ctx context.Context, env Env, middle seed.Manifest) (p50, p99 float64, err error) {
	return latencyOn(ctx, env, inMemory(), middle)
}

// latencyOn is latency on a store.
func latencyOn(ctx context.Context, env Env, on storage, middle seed.Manifest) (p50, p99 float64, err error) {
	w := newStopwatch(int(env.span() / pace))
	c, err := startChainOn(ctx, env, on, &middle, oneByOne(paced(w.base, w.want)), w.arrived)
	if err != nil {
		return 0, 0, err
	}
	err = w.wait(ctx)
	if err := errors.Join(err, c.finish(ctx)); err != nil {
		return 0, 0, err
	}
	return w.percentiles()
}

func (w *stopwatch) wait(ctx context.Context) error {
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-w.full:
		return nil
	case <-limit.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("%d of %d packets arrived within 30 s", len(w.times), w.want)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func latencyNone(ctx context.Context, env Env) ([]Result, error) {
	p50, p99, err := latency(ctx, env, transform())
	if err != nil {
		return nil, err
	}
	w := newStopwatch(int(env.span() / pace))
	c := &chain{arrived: w.arrived}
	ended := c.bare(ctx, paced(w.base, w.want))
	err = w.wait(ctx)
	<-ended
	if err != nil {
		return nil, err
	}
	bare50, bare99, err := w.percentiles()
	return []Result{
		{"latency.none.p50", "µs", p50}, {"latency.none.p99", "µs", p99},
		{"latency.channels.p50", "µs", bare50}, {"latency.channels.p99", "µs", bare99},
	}, err
}
