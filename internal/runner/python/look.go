package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/python"
	"github.com/recap/pumpkin/seed"
)

// lookTime is how long Python may take to read a seed file.
const lookTime = time.Minute

// Look says what keeps the Python file m.File from being loaded, as far as it shows without
// running it: what is no Python 3, and a module that it always imports and that its Python
// does not have. That is a [*seed.Error]; other errors are of Python itself.
func Look(ctx context.Context, m seed.Manifest, env runner.Env) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	file, err := filepath.Abs(m.File)
	if err != nil {
		return err
	}
	shown := m.File
	m.File = file
	r := &modules{m: m, env: env, source: file}
	choice, err := r.chosen()
	if err != nil {
		return err
	}
	exe, err := r.interpreter(ctx, choice)
	if err != nil {
		return err
	}
	lib, err := library()
	if err != nil {
		return err
	}
	args := append(choice.options, filepath.Join(lib, filepath.FromSlash(python.Main)), "look", file)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.WaitDelay = time.Second
	var said, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s cannot look at %s: %w: %s", exe, shown, errors.Join(err, ctx.Err()), bytes.TrimSpace(complaint.Bytes()))
	}
	if said.Len() == 0 {
		return nil
	}
	line, text, _ := strings.Cut(said.String(), " ")
	number, err := strconv.Atoi(line)
	if err != nil {
		return fmt.Errorf("%s cannot look at %s: it says %q", exe, shown, said.String())
	}
	return &seed.Error{File: shown, Line: number, Msg: text}
}
