package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/seed"
)

// refusals are what a node would refuse of the seeds when it starts, or could not load. With
// loads each is loaded as a node would, and ended again.
func (a *app) refusals(ctx context.Context, ms []seed.Manifest, loads bool, limit time.Duration) []error {
	errs := make([]error, len(ms))
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, m := range ms {
		group.Go(func() error {
			err := a.refusal(ctx, m)
			if err == nil && loads {
				err = a.loads(ctx, m, limit)
			}
			if at := (*seed.Error)(nil); err != nil && !errors.As(err, &at) {
				err = &seed.Error{File: m.File, Line: m.Line, Msg: err.Error()}
			}
			errs[i] = err
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// refusal is why a node would not host the seed, as far as it shows without running it.
func (a *app) refusal(ctx context.Context, m seed.Manifest) error {
	if err := node.Hostable(m); err != nil {
		return err
	}
	return a.program.kinds().Look(ctx, m, a.checking())
}

// checking is what a runner is given of a seed that is only looked at.
func (a *app) checking() runner.Env {
	return runner.Env{Node: "check", Python: a.settings.python(), Print: func(string) error { return nil }, Warn: func(string) {}}
}

// loads loads the seed, as a node would, in a worker that is ended again.
func (a *app) loads(ctx context.Context, m seed.Manifest, limit time.Duration) error {
	r, err := a.program.kinds().Open(m, a.checking())
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w, err := r.Open(within)
	switch {
	case err == nil:
		return w.Close()
	case within.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("it was not loaded within %v (--timeout)", limit)
	}
	return err
}
