package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/mesh/circle"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// An otherTask is what another node is told, on its standard input.
type otherTask struct {
	Name  string        // of the node
	Sleep time.Duration // before each output of its transform
	Key   string
	Join  string // where the node that measures is
	Dir   string // for its store
}

// ServeOther runs another node as the first line of in says, until in ends.
func ServeOther(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.New("the other node of a measurement reads its task from its standard input")
	}
	var task otherTask
	if err := json.Unmarshal(lines.Bytes(), &task); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	k, err := key.Parse(task.Key)
	if err != nil {
		return err
	}
	s, err := openDisk(ctx, task.Dir)
	if err != nil {
		return err
	}
	n := node.New(node.Config{
		Name: task.Name, Store: s, Blobs: blob.Open(blob.Config{}), Durability: node.Disk,
		Kinds: Env{}.with(func(seed.Manifest) gofn.Func { return after(task.Sleep) }),
	})
	middle := transform()
	if task.Sleep > 0 {
		middle.Workers = 1
	}
	if err := errors.Join(n.Host(ctx, middle)...); err != nil {
		return errors.Join(err, s.Close())
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return n.Run(running) })
	_, err = meet(running, &group, n, k, task.Join)
	if err == nil {
		for lines.Scan() { // there are none; it is the end that is waited for
		}
		err = n.Drain(ctx)
	}
	stop()
	return errors.Join(err, group.Wait(), s.Close())
}

// meet connects n with others over TCP, with join if that is not empty, until ctx
// ends; group runs what that takes. It returns where n is reached.
func meet(ctx context.Context, group *errgroup.Group, n *node.Node, k key.Key, join string) (at string, err error) {
	tls, err := k.Group(n.Group()).TLS(n.Name())
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	cfg := circle.Config{Host: n, Server: tls.Server, Client: tls.Client, Port: uint16(l.Addr().(*net.TCPAddr).Port), Log: slog.New(slog.DiscardHandler)}
	if join != "" {
		cfg.Join = []string{join}
	}
	c, err := circle.New(cfg)
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	group.Go(func() error { return c.Serve(ctx, l, true) })
	group.Go(func() error { return c.Run(ctx) })
	return l.Addr().String(), nil
}

// after is the function of a transform that sleeps first.
func after(d time.Duration) gofn.Func {
	if d == 0 {
		return hello
	}
	return func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		if !pause.For(ctx, d) {
			return ctx.Err()
		}
		return hello(ctx, in, emit)
	}
}

// startOver runs the chain with its transform on other nodes, which sleep so long
// for each packet. The injector waits until they are there. end ends all nodes and
// checks the chain.
func startOver(ctx context.Context, env Env, other func() *exec.Cmd, sleeps []time.Duration, first injector, arrived func(string)) (c *chain, end func() error, err error) {
	on, closeStore, err := disk(ctx)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(".", "pmk-bench-")
	if err != nil {
		return nil, nil, errors.Join(err, closeStore())
	}
	met, given := make(chan struct{}), make(chan struct{})
	giving, enough := context.WithCancel(ctx)
	c, err = startChainOn(ctx, env, on, nil, func(c *chain) gofn.Func {
		give := first(c)
		return func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
			defer close(given)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(giving, cancel)()
			select {
			case <-met:
				return give(ctx, in, emit)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}, arrived)
	if err != nil {
		enough()
		return nil, nil, errors.Join(err, closeStore(), os.RemoveAll(dir))
	}
	running, stop := context.WithCancel(ctx)
	var group errgroup.Group
	var processes []*otherNode
	k := key.New()
	at, err := meet(running, &group, c.node, k, "")
	for i := 0; i < len(sleeps) && err == nil; i++ {
		var p *otherNode
		task := otherTask{Name: fmt.Sprintf("bench-transform-%d", i+1), Sleep: sleeps[i], Key: k.Text(), Join: at}
		task.Dir = filepath.Join(dir, task.Name)
		if p, err = startOther(other(), task); err == nil {
			processes = append(processes, p)
		}
	}
	end = func() error {
		// A node that ends takes nothing more from others: all has to be back
		// before.
		enough()
		<-given
		err := c.awaitAll(ctx)
		err = errors.Join(err, c.finish(ctx))
		for _, p := range processes {
			err = errors.Join(err, p.end())
		}
		stop()
		return errors.Join(err, group.Wait(), closeStore(), os.RemoveAll(dir))
	}
	if err == nil {
		err = awaitReplicas(ctx, c.node, "transform", len(sleeps))
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	close(met)
	return c, end, nil
}

// awaitAll waits until everything that was sent has arrived, if it does.
func (c *chain) awaitAll(ctx context.Context) error {
	for limit := time.Now().Add(endWait); c.got.Load() < c.sent.Load() && time.Now().Before(limit); {
		if !pause.For(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil // finish tells what is missing
}

// awaitReplicas waits until so many nodes of the network of n have the seed.
func awaitReplicas(ctx context.Context, n *node.Node, name seed.Name, count int) error {
	there := 0
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); {
		if there = len(n.Network().Replicas(name)); there == count {
			return nil
		}
		if !pause.For(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("%d of %d other nodes came within 30 s", there, count)
}

// An otherNode is the process of another node.
type otherNode struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	errs   strings.Builder
}

func startOther(cmd *exec.Cmd, task otherTask) (*otherNode, error) {
	text, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	p := &otherNode{cmd: cmd}
	cmd.Stderr = &p.errs
	if p.orders, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := p.orders.Write(append(text, '\n')); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// end ends the process and waits for it.
func (p *otherNode) end() error {
	closed := p.orders.Close()
	late := time.AfterFunc(endWait, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("another node: %w: %s", err, strings.TrimSpace(p.errs.String()))
	}
	return closed
}
