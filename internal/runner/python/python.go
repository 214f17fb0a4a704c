// Package python runs seeds that are Python files, in long-lived workers of
// python3. The worker library is in the program and needs no installation.
package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/runner/worker"
	"github.com/recap/pumpkin/python"
	"github.com/recap/pumpkin/seed"
)

// Kind is that of these seeds.
var Kind = runner.Kind{Traits: worker.Traits, Open: Open, Look: Look}

// Open makes the runner of the Python file m.File. Python itself is looked for when
// the first worker is opened.
func Open(m seed.Manifest, env runner.Env) (runner.Runner, error) {
	var err error
	if m.File, err = filepath.Abs(m.File); err != nil {
		return nil, err
	}
	source, err := worker.Snapshot(env.Snapshots, m)
	if err != nil {
		return nil, err
	}
	return worker.Open(m, env, (&modules{m: m, env: env, source: source}).spec), nil
}

// modules starts workers of one Python file.
type modules struct {
	m      seed.Manifest
	env    runner.Env
	source string // what is loaded: the file, or its snapshot
}

// spec is how a worker is started.
func (r *modules) spec(ctx context.Context) (spec supervise.Spec, err error) {
	choice, err := r.chosen()
	if err != nil {
		return spec, err
	}
	exe, err := r.interpreter(ctx, choice)
	if err != nil {
		return spec, err
	}
	lib, err := library()
	if err != nil {
		return spec, err
	}
	args := append([]string{exe}, choice.options...)
	args = append(args, filepath.Join(lib, filepath.FromSlash(python.Main)))
	return supervise.Spec{Role: supervise.Exec, Args: args, Dir: filepath.Dir(r.m.File), Source: r.source, Stack: true}, nil
}

// interpreter is the path of Python. The shim of a version manager may take its time
// to say it, which is a part of the load.
func (r *modules) interpreter(ctx context.Context, c choice) (string, error) {
	if r.env.LoadTimeout == 0 {
		return known.find(ctx, c)
	}
	within, cancel := context.WithTimeout(ctx, r.env.LoadTimeout)
	defer cancel()
	exe, err := known.find(within, c)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("was not found within %v (--load-timeout): %w", r.env.LoadTimeout, err)
	}
	return exe, err
}

// known are the Pythons that were found.
var known interpreters

// untilFound remembers what look finds while it is there, but no failure: Python may be
// installed while the node runs. One looks at a time, and the others wait for that.
func untilFound(look func(context.Context) (string, error)) func(context.Context) (string, error) {
	turn := make(chan struct{}, 1)
	var found string
	return func(ctx context.Context) (string, error) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for where Python is: %w", ctx.Err())
		}
		if found != "" {
			if _, err := os.Stat(found); err == nil {
				return found, nil
			}
		}
		path, err := look(ctx)
		if err == nil {
			found = path
		}
		return path, err
	}
}

func find(ctx context.Context, c choice) (string, error) {
	path, err := exec.LookPath(c.name)
	if err != nil {
		return "", fmt.Errorf("%s, from %s: %w: Python seeds need Python 3.8 or newer; install python3, or name one in a #! line or in PUMPKIN_PYTHON", c.name, c.why, runner.ErrMissing)
	}
	const ask = "import sys; print(sys.version_info >= (3, 8)); print(sys.version.split()[0]); print(sys.executable)"
	cmd := exec.CommandContext(ctx, path, "-c", ask)
	cmd.WaitDelay = time.Second // a shim may leave a child behind
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s -c %q: %w", path, ask, ctx.Err())
	}
	if err != nil {
		return "", fmt.Errorf("%s -c %q: %w", path, ask, err)
	}
	lines := strings.SplitN(strings.TrimSpace(string(out)), "\n", 3)
	if len(lines) != 3 || lines[2] == "" {
		return "", fmt.Errorf("%s does not say what it is: %q", path, out)
	}
	if lines[0] != "True" {
		return "", fmt.Errorf("%s, from %s, is Python %s: %w: Python seeds need 3.8 or newer; name one in a #! line or in PUMPKIN_PYTHON", path, c.why, lines[1], runner.ErrMissing)
	}
	return lines[2], nil
}

// library unpacks the worker library, where its hash names it. It does so for every
// worker: what cleans temporary folders may have taken it away since the last one.
func library() (string, error) {
	base, err := local.Dir(".python")
	if err != nil {
		return "", fmt.Errorf("a place for the Python library: %w", err)
	}
	dir := filepath.Join(base, hash())
	if err := unpack(dir); err != nil {
		return "", fmt.Errorf("unpack the Python library: %w", err)
	}
	return dir, nil
}

var hash = sync.OnceValue(python.Hash)

// unpack writes the files of the library that dir lacks or has otherwise: what
// cleans temporary folders may take single ones away.
func unpack(dir string) error {
	lib := python.Library()
	return fs.WalkDir(lib, ".", func(name string, d fs.DirEntry, err error) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(path, 0o700)
		}
		want, err := fs.ReadFile(lib, name)
		if err != nil {
			return err
		}
		if got, err := os.ReadFile(path); err == nil && bytes.Equal(got, want) {
			return nil
		}
		fresh, err := os.CreateTemp(filepath.Dir(path), "new-")
		if err != nil {
			return err
		}
		_, err = fresh.Write(want)
		if err = errors.Join(err, fresh.Close()); err == nil {
			err = os.Rename(fresh.Name(), path) // another node writes the same
		}
		if err != nil {
			os.Remove(fresh.Name())
		}
		return err
	})
}
