package faulttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/local"
)

// A nodeProcess is a node that runs as it does for users.
type nodeProcess struct {
	cmd    *exec.Cmd
	find   func(context.Context) ([]local.Peer, error)
	seeds  int         // that it hosts when it is ready
	client *api.Client // nil until it is ready
	ended  chan struct{}
}

// launch starts a node of the group, without waiting for it. What it says goes
// to log.
func launch(group string, seeds int, sink string, log io.Writer, args ...string) (*nodeProcess, error) {
	n := newProcess(seeds, sink, log, args...)
	n.find = func(ctx context.Context) ([]local.Peer, error) { return local.Find(ctx, group, "") }
	return n, n.begin((*exec.Cmd).Start)
}

// newProcess is a node that does not run yet; it lacks how it is found.
func newProcess(seeds int, sink string, log io.Writer, args ...string) *nodeProcess {
	n := &nodeProcess{cmd: exec.Command(os.Getenv(binaryEnv), args...), seeds: seeds, ended: make(chan struct{})}
	n.cmd.Env = append(os.Environ(), "PMK_FAULT_SINK="+sink)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	return n
}

// begin starts the process.
func (n *nodeProcess) begin(start func(*exec.Cmd) error) error {
	if err := start(n.cmd); err != nil {
		return err
	}
	go func() { // ends with the process; kill and end wait for it
		defer close(n.ended)
		n.cmd.Wait()
	}()
	return nil
}

// ready waits until the node answers. An error that is errEnded says that it
// has ended instead.
func (n *nodeProcess) ready(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		err := n.look(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-n.ended:
			return fmt.Errorf("%w: %v", errEnded, n.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("after %v, the node does not answer: %w", within, err)
		case <-time.After(5 * time.Millisecond): // it is another process: nothing tells
		}
	}
}

var errEnded = errors.New("the node ended")

func (n *nodeProcess) look(ctx context.Context) error {
	peers, err := n.find(ctx)
	if err != nil {
		return err
	}
	client := api.NewClient(peers[0].Dial)
	st, err := client.Status(ctx)
	if err == nil && len(st.Seeds) < n.seeds {
		err = errors.New("it has not loaded its seeds")
	}
	if err != nil {
		client.Close()
		return err
	}
	n.client = client
	return nil
}

func (n *nodeProcess) status() (api.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return n.client.Status(ctx)
}

// signal sends to the node alone.
func (n *nodeProcess) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%v to the node: %v", sig, err)
	}
}

// kill ends the node without a warning.
func (n *nodeProcess) kill() {
	n.cmd.Process.Kill() // it may have ended
	<-n.ended
}

// end asks the node to end, and tells whether it did in time.
func (n *nodeProcess) end(within time.Duration) bool {
	n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-n.ended:
		return true
	case <-time.After(within):
		n.kill()
		return false
	}
}

// workers are the Python processes below the node.
func (n *nodeProcess) workers() []int {
	type process struct {
		name   string
		parent int
	}
	all := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		before, after, _ := strings.Cut(string(text), " (")
		close := strings.LastIndexByte(after, ')')
		pid, _ := strconv.Atoi(before)
		fields := strings.Fields(after[close+1:])
		if parent, err := strconv.Atoi(fields[1]); err == nil && fields[0] != "Z" {
			all[pid] = process{after[:close], parent}
		}
	}
	var found []int
	for pid, p := range all {
		if !strings.HasPrefix(p.name, "python") {
			continue
		}
		for up := p.parent; up > 0; up = all[up].parent {
			if up == n.cmd.Process.Pid {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}
