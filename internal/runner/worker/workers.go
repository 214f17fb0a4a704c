package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
	"github.com/recap/pumpkin/internal/uses"
	"github.com/recap/pumpkin/seed"
)

// workers opens the workers of one seed. All of them have loaded the same: what the seed has
// imported from its own folder and what its header names belongs to its version, and one that finds
// another is not used. Who watches the files brings the new version.
type workers struct {
	program
	spec func(context.Context) (supervise.Spec, error)
	sums uses.Sums

	silent silent

	mu       sync.Mutex
	opened   bool // the first worker has been opened
	loaded   runner.Loaded
	set      uses.Set // what the first worker has loaded beside the file
	imported []string // of that
}

// Loaded is what the workers have loaded.
func (r *workers) Loaded() runner.Loaded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loaded
}

// loadedFirst is what the first worker has loaded; ok is false before.
func (r *workers) loadedFirst() (set uses.Set, imported []string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set, r.imported, r.opened
}

func (r *workers) Open(ctx context.Context) (runner.Worker, error) {
	w, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := started(r.env.Snapshots, r.m); err != nil {
		r.env.Warn("old snapshots of its file cannot be removed: " + err.Error())
	}
	return w, nil
}

func (r *workers) open(ctx context.Context) (runner.Worker, error) {
	p := r.program
	p.silent = &r.silent
	var err error
	if p.spec, err = r.spec(ctx); err != nil {
		return nil, err
	}
	set, imported, ok := r.loadedFirst()
	if !ok {
		return r.openFirst(ctx, &p)
	}
	w, answer, err := p.open(ctx)
	if err != nil {
		r.env.Uses(answer.Imported, "")
		return nil, err
	}
	if err := r.isStill(set, imported); err != nil {
		w.Close() // the other error says more
		return nil, err
	}
	return w, nil
}

// isStill fails if what the seed uses is not what it was any more.
func (r *workers) isStill(was uses.Set, imported []string) error {
	now, err := r.sums.Look(r.m, imported)
	if err != nil {
		return err
	}
	if name := now.Changed(was); name != "" {
		return fmt.Errorf("%s was changed since %s was loaded", name, filepath.Base(r.m.File))
	}
	return nil
}

// openFirst opens the first worker, and notes what it has loaded. What is changed meanwhile may
// have been loaded before or after, so that is tried once more, and then is an error: it goes on.
func (r *workers) openFirst(ctx context.Context, p *program) (runner.Worker, error) {
	var imported []string
	changed := ""
	for range 2 {
		before, err := r.sums.Look(r.m, imported)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		w, answer, err := p.open(ctx)
		imported = answer.Imported
		if err != nil {
			r.env.Uses(imported, "")
			return nil, err
		}
		after, err := r.sums.Look(r.m, imported)
		if err == nil {
			if changed = after.ChangedSince(before, began); changed == "" {
				r.note(after, &answer, p)
				return w, nil
			}
		}
		w.Close() // it is of no use
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s was changed while %s was loaded", changed, filepath.Base(r.m.File))
}

// note remembers what the first worker has loaded.
func (r *workers) note(set uses.Set, answer *wire.Answer, p *program) {
	r.mu.Lock()
	r.opened, r.set, r.imported = true, set, answer.Imported
	r.loaded.Version = set.Version(r.m)
	if r.m.Kind == seed.Python && p.spec.Role == supervise.Exec {
		r.loaded.Interpreter = fmt.Sprintf("%s (%s)", p.spec.Args[0], answer.Worker)
	}
	r.loaded.Silent = r.silent.text
	version := r.loaded.Version
	r.mu.Unlock()
	r.env.Uses(answer.Imported, version)
}
