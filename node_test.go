package pumpkin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin"
	"github.com/recap/pumpkin/internal/testenv"
)

// within is how long a test waits for what takes moments.
const within = 30 * time.Second

// running runs a node until end is called, which returns what Run does.
func running(t *testing.T, cfg pumpkin.Config, seeds ...pumpkin.Seed) (n *pumpkin.Node, end func() error) {
	t.Helper()
	n = pumpkin.New(cfg, seeds...)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	end = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	t.Cleanup(func() { end() }) // its error is the test's own to look at
	return n, end
}

// into is a seed that gives what it takes to a channel.
func into(state string) (pumpkin.Seed, <-chan string) {
	got := make(chan string, 100)
	return pumpkin.Extract(state+" ->", func(data string) { got <- data }).Named("into"), got
}

func send(t *testing.T, n *pumpkin.Node, state pumpkin.State, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if _, err := n.Send(ctx, state, data); err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, from <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(within):
		t.Fatalf("nothing came within %v", within)
	}
	return got
}

// TestSend covers what is refused, and that a packet is in the network only if Send said so.
func TestSend(t *testing.T) {
	seed, got := into("T:A")
	n := pumpkin.New(pumpkin.Config{}, seed)
	early, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := n.Send(early, "T:A", "early"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before it runs: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	for state, data := range map[pumpkin.State]string{"T": "no state", "T:A:B": "no state"} {
		if _, err := n.Send(ctx, state, data); err == nil || !strings.Contains(err.Error(), string(state)) {
			t.Errorf("state %s: %v", state, err)
		}
	}
	if _, err := n.Send(ctx, "T:A", "bad", pumpkin.Attributes{"Upper": "x"}); err == nil {
		t.Error("a bad attribute was taken")
	}
	send(t, n, "T:A", "good")
	if data := receive(t, got); data != "good" {
		t.Errorf("%q came; expected only what was sent", data)
	}
	stop()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
	if _, err := n.Send(t.Context(), "T:A", "late"); err == nil || err.Error() != "send T:A: the node has ended" {
		t.Errorf("a node that has ended says %v", err)
	}
	if err := n.Run(t.Context()); err == nil {
		t.Error("a node ran twice")
	}
}

// TestNoStart has configurations that no node starts with: they say why, and nobody
// waits for that node.
func TestNoStart(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	n, end := running(t, pumpkin.Config{Data: taken})
	send(t, n, "T:A", "there it runs")
	for name, c := range map[string]struct {
		cfg  pumpkin.Config
		says string
	}{
		"group":        {pumpkin.Config{Group: "no group"}, "group"},
		"address":      {pumpkin.Config{HTTP: "nowhere"}, "nowhere"},
		"page for all": {pumpkin.Config{HTTP: "192.0.2.1:7811"}, "key"},
		"key":          {pumpkin.Config{Key: key}, key},
		"folder":       {pumpkin.Config{Data: taken}, taken},
		"other group":  {pumpkin.Config{Data: taken, Group: "other"}, taken},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			n := pumpkin.New(c.cfg)
			if err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v; expected one about %s", err, c.says)
			}
			if _, err := n.Send(t.Context(), "T:A", "data"); err == nil {
				t.Error("it takes packets")
			}
		})
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestDataFolder stops a node with packets that nobody takes, small and large.
func TestDataFolder(t *testing.T) {
	cfg := pumpkin.Config{Data: t.TempDir()}
	n, end := running(t, cfg)
	sizes := map[int]bool{10: true, 1 << 20: true}
	for size := range sizes {
		send(t, n, "T:A", strings.Repeat("x", size))
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	seed, got := into("T:A")
	_, end = running(t, cfg, seed)
	for range len(sizes) {
		if data := receive(t, got); !sizes[len(data)] {
			t.Errorf("%d bytes came", len(data))
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestMeeting has two nodes share a network: a packet that is sent to one comes to a seed of
// the other.
func TestMeeting(t *testing.T) {
	seed, got := into("T:FAR")
	one, endOne := running(t, pumpkin.Config{Group: "meeting"}, pumpkin.Transform("T:NEAR -> T:FAR", greet))
	_, endTwo := running(t, pumpkin.Config{Group: "meeting"}, seed)
	send(t, one, "T:NEAR", "Mars")
	if data := receive(t, got); data != "Hello Mars" {
		t.Error(data)
	}
	if err := errors.Join(endOne(), endTwo()); err != nil {
		t.Error(err)
	}
}

// TestFinish: what is in flight when the context ends comes to its end, through the seeds
// that follow.
func TestFinish(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	seed, got := into("T:B")
	n, end := running(t, pumpkin.Config{}, seed, pumpkin.Transform("T:A -> T:B", func(data string) string {
		begun <- true
		<-goOn
		return data
	}))
	send(t, n, "T:A", "data")
	receive(t, begun)
	go func() {
		for { // until the node ends and takes no more
			if _, err := n.Send(t.Context(), "T:NOBODY", ""); err != nil {
				break
			}
		}
		close(goOn)
	}()
	if err := end(); err != nil {
		t.Error(err)
	}
	if len(got) != 1 {
		t.Error("the node ended before its packet")
	}
}

// TestGrace: a function that hangs keeps no node up, and the end says so.
func TestGrace(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	defer close(goOn)
	n, end := running(t, pumpkin.Config{Grace: time.Millisecond}, pumpkin.Extract("T:A ->", func(string) {
		begun <- true
		<-goOn
	}))
	send(t, n, "T:A", "data")
	receive(t, begun)
	if err := end(); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1ms") {
		t.Errorf("it ended with %v", err)
	}
}

// TestPage has the page at an address of its own.
func TestPage(t *testing.T) {
	var log testenv.Journal
	n, end := running(t, pumpkin.Config{HTTP: "127.0.0.1:0", Log: log.Log()})
	send(t, n, "T:A", "data")
	if log.Count("web page at http://127.0.0.1:") == 0 {
		t.Errorf("the log: %s", log.String())
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
