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

// Open makes the runner of the Python file m.File.
func Open(m seed.Manifest, env runner.Env) (runner.Runner, error) {
	exe, err := interpreter()
	if err != nil {
		return nil, err
	}
	lib, err := library()
	if err != nil {
		return nil, err
	}
	if m.File, err = filepath.Abs(m.File); err != nil {
		return nil, err
	}
	args := []string{exe, filepath.Join(lib, filepath.FromSlash(python.Main))}
	return worker.Open(m, env, supervise.Spec{Role: supervise.Exec, Args: args}), nil
}

// interpreter finds Python once: its sys.executable, so that the shim of a
// version manager costs nothing later.
var interpreter = untilFound(func() (string, error) { return find(os.Getenv("PMK_PYTHON")) })

// untilFound remembers what look finds, but no failure: Python may be installed
// while the node runs.
func untilFound(look func() (string, error)) func() (string, error) {
	var mu sync.Mutex
	var found string
	return func() (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if found != "" {
			return found, nil
		}
		path, err := look()
		if err == nil {
			found = path
		}
		return path, err
	}
}

// findTime bounds the question for sys.executable. A machine that is busy takes
// its time, above all where python3 is a script that looks for the right one; who
// gives up leaves the seed out.
const findTime = time.Minute

func find(name string) (string, error) {
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w: Python seeds need Python 3.8 or newer; install python3, or name one in PMK_PYTHON", name, runner.ErrMissing)
	}
	ctx, cancel := context.WithTimeout(context.Background(), findTime)
	defer cancel()
	const ask = "import sys; print(sys.version_info >= (3, 8)); print(sys.version.split()[0]); print(sys.executable)"
	out, err := exec.CommandContext(ctx, path, "-c", ask).Output()
	if err != nil {
		return "", fmt.Errorf("%s -c %q: %w", path, ask, err)
	}
	lines := strings.SplitN(strings.TrimSpace(string(out)), "\n", 3)
	if len(lines) != 3 || lines[2] == "" {
		return "", fmt.Errorf("%s does not say what it is: %q", path, out)
	}
	if lines[0] != "True" {
		return "", fmt.Errorf("%s is Python %s: %w: Python seeds need 3.8 or newer; name one in PMK_PYTHON", path, lines[1], runner.ErrMissing)
	}
	return lines[2], nil
}

// library unpacks the worker library once a program, where its hash names it.
var library = untilFound(func() (string, error) {
	base, err := local.Dir(".python")
	if err != nil {
		return "", fmt.Errorf("a place for the Python library: %w", err)
	}
	dir := filepath.Join(base, python.Hash())
	return dir, unpack(dir)
})

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
