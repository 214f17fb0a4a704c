package bench

import (
	"context"
	"os"
	"slices"
	"time"
)

const (
	// fsyncCount is how often a file is synced to learn what that costs.
	fsyncCount = 200
	// fsyncBytes is how much is appended before each.
	fsyncBytes = 4 << 10
)

// besideFsync is a measurement that uses the disk, with what an fsync costs there:
// the disk of a shared machine is not as fast in one minute as in the next.
func besideFsync(b Bench) Bench {
	run := b.Run
	b.Run = func(ctx context.Context, env Env) ([]Result, error) {
		sync50, err := fsyncP50(ctx, ".")
		if err != nil {
			return nil, err
		}
		results, err := run(ctx, env)
		return append(results, Result{b.Name + ".fsync.p50", "µs", sync50}), err
	}
	return b
}

// fsyncP50 is the median time, in µs, to append a block to a file in dir and sync
// it. The appends have the pace of the latency measurements.
func fsyncP50(ctx context.Context, dir string) (float64, error) {
	file, err := os.CreateTemp(dir, "pmk-bench-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	block := make([]byte, fsyncBytes)
	times := make([]time.Duration, fsyncCount)
	for i := range times {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		began := time.Now()
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds()) / 1e3, nil
}
