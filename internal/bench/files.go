package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/seed"
)

// The transforms of the chain as seed files.
const (
	pythonSeed = `# pmk: String:UNGREETED -> String:GREETING
# pmk-workers: 1
def run(name):
    return "Hello " + name
`
	// shellSeed uses what the shell itself has: it starts no other program.
	shellSeed = `#!/bin/sh
# pmk: String:UNGREETED -> String:GREETING
IFS= read -r name
printf 'Hello %s' "$name"
`
	linesSeed = `#!/usr/bin/env -S %s -f
# pmk: String:UNGREETED -> String:GREETING
# pmk-mode: lines
# pmk-workers: 1
s/^/Hello /
`
	loopSeed = `#!/usr/bin/env python3
# pmk: String:UNGREETED -> String:GREETING
# pmk-name: transform
# pmk-mode: lines
# pmk-workers: 1
import sys
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(b"Hello " + line)
    sys.stdout.buffer.flush()
`
)

// withSeed calls use with the manifest of a seed file that holds text, and with
// its path.
func withSeed(env Env, file, text string, use func(m seed.Manifest, path string) error) error {
	dir, err := os.MkdirTemp("", "pmk-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		return err
	}
	m, err := env.Load(path)
	if err != nil {
		return err
	}
	return use(m, path)
}

func chainPython(ctx context.Context, env Env) (out []Result, err error) {
	err = withSeed(env, "transform.py", pythonSeed, func(m seed.Manifest, _ string) error {
		rate, err := throughput(ctx, env, m)
		out = []Result{{"chain.python", "packets/s", rate}}
		return err
	})
	return out, err
}

func latencyPython(ctx context.Context, env Env) (out []Result, err error) {
	err = withSeed(env, "transform.py", pythonSeed, func(m seed.Manifest, _ string) error {
		p50, p99, err := latency(ctx, env, m)
		out = []Result{{"latency.python.p50", "µs", p50}, {"latency.python.p99", "µs", p99}}
		return err
	})
	return out, err
}

func chainLines(ctx context.Context, env Env) ([]Result, error) {
	return lines(ctx, env, "", "sed -u")
}

// chainLinesBuffered is lines mode through a program that reads by the block
// and writes by the line, as most do behind stdbuf.
func chainLinesBuffered(ctx context.Context, env Env) ([]Result, error) {
	return lines(ctx, env, ".buffered", "stdbuf -oL sed")
}

// lines measures the chain through sed, started as command, and sed alone.
func lines(ctx context.Context, env Env, suffix, command string) (out []Result, err error) {
	err = withSeed(env, "transform.sed", fmt.Sprintf(linesSeed, command), func(m seed.Manifest, path string) error {
		rate, err := throughput(ctx, env, m)
		if err != nil {
			return err
		}
		bare, err := bareLines(ctx, env, path)
		out = []Result{{"chain.lines" + suffix, "packets/s", rate}, {"lines" + suffix + ".bare", "lines/s", bare}}
		return err
	})
	return out, err
}

// chainLoop is lines mode through a program that reads more than a byte at a
// time, as sed -u does not.
func chainLoop(ctx context.Context, env Env) (out []Result, err error) {
	err = withSeed(env, "transform", loopSeed, func(m seed.Manifest, _ string) error {
		rate, err := throughput(ctx, env, m)
		out = []Result{{"chain.lines.python", "packets/s", rate}}
		return err
	})
	return out, err
}

// bareLines is how many lines a second the program at path takes and gives
// when nobody but two goroutines stands at its ends.
func bareLines(ctx context.Context, env Env, path string) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var count atomic.Int64
	var group sync.WaitGroup
	group.Go(func() {
		lines := strings.Repeat(strings.Repeat("x", payloadSize)+"\n", 256)
		for {
			if _, err := io.WriteString(in, lines); err != nil {
				return // the program was ended
			}
		}
	})
	group.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			count.Add(1)
		}
	})
	rate, err := rateOf(ctx, &count, env.span())
	cancel()
	group.Wait()
	cmd.Wait() // it was ended
	return rate, err
}

func chainProcess(ctx context.Context, env Env) (out []Result, err error) {
	err = withSeed(env, "transform.sh", shellSeed, func(m seed.Manifest, path string) error {
		rate, err := throughput(ctx, env, m)
		if err != nil {
			return err
		}
		bare, err := forkExec(ctx, env, path)
		out = []Result{{"chain.process", "packets/s", rate}, {"fork.exec", "1/s", bare}}
		return err
	})
	return out, err
}

// forkExec is how often a second the machine runs the program at path with a
// text on its standard input, one after another on each CPU.
func forkExec(ctx context.Context, env Env, path string) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var count atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for ctx.Err() == nil {
				cmd := exec.Command(path)
				cmd.Stdin = strings.NewReader(strings.Repeat("x", payloadSize))
				if out, err := cmd.Output(); err != nil || len(out) != len(prefix)+payloadSize {
					failed <- fmt.Errorf("%s: %d bytes, %v", path, len(out), err)
					return
				}
				count.Add(1)
			}
		})
	}
	rate, err := rateOf(ctx, &count, env.span())
	cancel()
	group.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return rate, err
}

// residentOf is the memory of a process that is resident, in MiB; 0 where /proc does
// not tell.
func residentOf(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}
