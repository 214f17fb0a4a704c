package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/node"
)

// An Embedded is a node in another program: what its flags would say, and its end, which
// is that of a context instead of a signal. It runs the seeds of the program alone: what
// runs files starts the program again as their supervisor, which it would have to know.
type Embedded struct {
	Program Program
	Group   string // "" is the default
	Data    string // "" keeps packets in memory alone
	Key     string // the file; "" is the environment's
	Join    []string
	HTTP    string        // "" is no page
	Grace   time.Duration // for what is in flight when the context ends
	Log     *slog.Logger
}

// Run runs the node until ctx ends and what is in flight then has finished. It calls
// started once the node takes packets.
func (e Embedded) Run(ctx context.Context, started func(*node.Node)) error {
	f, err := e.flags()
	if err != nil {
		return err
	}
	reach, err := f.mesh.reach(f.group, &f.store.cluster, e.Log)
	if err != nil {
		return err
	}
	if err := f.http.check(reach.secrets); err != nil {
		return err
	}
	a := &app{program: e.Program, out: os.Stdout, err: os.Stderr, signals: make(chan os.Signal, 2), started: started}
	over := make(chan struct{})
	var ending sync.WaitGroup
	ending.Go(func() {
		select {
		case <-ctx.Done():
		case <-over:
			return
		}
		a.signals <- os.Interrupt
		grace := time.NewTimer(e.Grace)
		defer grace.Stop()
		select {
		case <-grace.C:
			a.signals <- os.Interrupt
		case <-over:
		}
	})
	err = a.node(context.WithoutCancel(ctx), f, reach, nil, e.Log)
	close(over)
	ending.Wait()
	if errors.Is(err, errAborted) {
		err = fmt.Errorf("what was in flight had not finished %v after the node was to end: %w", e.Grace, context.Cause(ctx))
	}
	return err
}

func (e Embedded) flags() (runFlags, error) {
	f := runFlags{group: node.DefaultGroup, mesh: meshFlags{key: cmp.Or(e.Key, os.Getenv(keyVariable)), join: e.Join}, http: httpOff}
	if e.Key == "" {
		if err := checkKeyVariable(f.mesh.key); err != nil {
			return f, err
		}
	}
	f.store.defaults()
	f.store.data = e.Data
	if e.Data == "" {
		f.store.durability = node.Memory
	}
	if e.Group != "" {
		if err := (*nameFlag)(&f.group).Set(e.Group); err != nil {
			return f, fmt.Errorf("the node's group: %w", err)
		}
	}
	if e.HTTP != "" {
		if err := f.http.Set(e.HTTP); err != nil {
			return f, fmt.Errorf("the address of the web page: %w", err)
		}
	}
	return f, nil
}
