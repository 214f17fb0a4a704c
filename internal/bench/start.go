package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/pause"
)

const (
	// starts is how often this binary is started.
	starts = 5
	// startLimit is how long one start may take.
	startLimit = 20 * time.Second
)

// A started node was ready, and had greeted, so long after the start of its process.
type started struct {
	ready, greeting time.Duration
	resident        float64 // MiB, when both had happened; 0 where /proc does not tell
}

// start runs this binary several times, each with a new data folder, until its API
// says that it is ready and its seeds have greeted. It gives the medians, and the most
// memory.
func start(ctx context.Context, _ Env) ([]Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(self)
	if err != nil {
		return nil, err
	}
	var ready, greeting []time.Duration
	var resident float64
	for range starts {
		one, err := startOnce(ctx, self)
		if err != nil {
			return nil, err
		}
		ready, greeting = append(ready, one.ready), append(greeting, one.greeting)
		resident = max(resident, one.resident)
	}
	return []Result{
		{"start.ready", "ms", medianMs(ready)},
		{"start.greeting", "ms", medianMs(greeting)},
		{"start.resident", "MiB", resident},
		{"start.binary", "MiB", float64(info.Size()) / (1 << 20)},
	}, nil
}

func medianMs(times []time.Duration) float64 {
	slices.Sort(times)
	return times[len(times)/2].Seconds() * 1e3
}

// startOnce starts the binary in a new data folder, where it meets no other node: this process has
// no settings of a node in its environment any more.
func startOnce(ctx context.Context, self string) (one started, err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	data, err := os.MkdirTemp(".", "pmk-bench-")
	if err != nil {
		return one, err
	}
	sockets, err := os.MkdirTemp("", "pmk-bench-")
	if err != nil {
		return one, errors.Join(err, os.RemoveAll(data))
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data), os.RemoveAll(sockets)) }()
	cmd := exec.CommandContext(ctx, self, "--data", filepath.Join(data, "node"), "--http", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+sockets, "NO_COLOR=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	log, out := newWatch(linkIn), newWatch(greetingIn)
	cmd.Stderr, cmd.Stdout = log, out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return one, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	one, err = measureStart(ctx, began, log, out, ended)
	one.resident = residentOf(cmd.Process.Pid)
	cancel()
	<-ended // its end was asked for
	return one, err
}

var (
	// linkIn finds the address of the API in what a node logs.
	linkIn = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/`)
	// greetingIn finds the result of the hello world seeds in what a node prints.
	greetingIn = regexp.MustCompile(`(?m)^Greeting: Hello World$`)
)

// measureStart waits until the node is ready and has greeted. ended has
// one value once the process has ended.
func measureStart(ctx context.Context, began time.Time, log, out *watch, ended chan error) (one started, err error) {
	link, err := log.await(ctx, ended)
	if err == nil {
		err = askReady(ctx, link.text+"readyz")
		one.ready = time.Since(began)
	}
	if err != nil {
		return one, err
	}
	greeting, err := out.await(ctx, ended)
	one.greeting = greeting.at.Sub(began)
	return one, err
}

// A watch looks for a pattern in what a process writes.
type watch struct {
	want  *regexp.Regexp
	found chan sighting

	mu   sync.Mutex
	text []byte // what was written before it was found
	done bool
}

// A sighting is what was found, and when.
type sighting struct {
	text string
	at   time.Time
}

func newWatch(want *regexp.Regexp) *watch { return &watch{want: want, found: make(chan sighting, 1)} }

// Write takes more of what the process writes.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return len(p), nil
	}
	w.text = append(w.text, p...)
	if found := w.want.Find(w.text); found != nil {
		w.done = true
		w.found <- sighting{string(found), time.Now()}
	}
	return len(p), nil
}

// await waits until the pattern was found. A process that ends first is an error, and
// its end can still be received from ended.
func (w *watch) await(ctx context.Context, ended chan error) (sighting, error) {
	select {
	case s := <-w.found:
		return s, nil
	case err := <-ended:
		ended <- err
		return sighting{}, w.missing(fmt.Sprintf("it ended: %v", err))
	case <-ctx.Done():
		return sighting{}, w.missing(ctx.Err().Error())
	}
}

func (w *watch) missing(why string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Errorf("this benchmark is for the stock pmk, which writes %s; this binary wrote %q, and %s", w.want, w.text, why)
}

// askReady asks until the answer is that the node is ready.
func askReady(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		if !pause.For(ctx, time.Millisecond) {
			return fmt.Errorf("the node is not ready after %v: %s", startLimit, resp.Status)
		}
	}
}
