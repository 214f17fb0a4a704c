// Package process runs seeds that are executables: one process a packet, a
// program that takes a line for each, or a worker of its own.
package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/runner/worker"
	"github.com/recap/pumpkin/seed"
)

// Kind is that of these seeds.
var Kind = runner.Kind{Traits: worker.Traits, Open: Open}

// Open makes the runner of the executable m.File.
func Open(m seed.Manifest, env runner.Env) (runner.Runner, error) {
	path, err := filepath.Abs(m.File)
	if err != nil {
		return nil, err
	}
	if err := check(path); err != nil {
		return nil, err
	}
	m.File = path
	program, err := worker.Snapshot(env.Snapshots, m)
	if err != nil {
		return nil, err
	}
	spec := supervise.Spec{Args: []string{program}, Dir: filepath.Dir(path), DataPath: m.DataPath && !m.Contract.Injector()}
	switch m.Mode {
	case seed.PerPacket:
		spec.Role = supervise.Each
	case seed.Lines:
		spec.Role = supervise.Lines
	case seed.Worker:
		spec.Role = supervise.Exec
	default:
		return nil, fmt.Errorf("there is no pmk-mode %q", m.Mode)
	}
	return worker.Open(m, env, func(context.Context) (supervise.Spec, error) { return spec, nil }), nil
}

// check tells what keeps the file from being run.
func check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if unix.Access(path, unix.X_OK) != nil || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not executable; run: chmod +x %s", path, path)
	}
	head := headOf(path)
	if isText(head) && !strings.HasPrefix(head, "#!") {
		return fmt.Errorf("%s: line 1 names no interpreter; begin it with a line such as #!/bin/sh", path)
	}
	return checkInterpreter(path, head)
}

// headOf is how the file begins; "" for one that is executable and cannot be
// read.
func headOf(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	head := make([]byte, 256)
	n, _ := file.Read(head) // an empty file fails when it is run
	return string(head[:n])
}
