package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/recap/pumpkin/internal/runner"
)

// checkInterpreter tells what keeps the system from running a script that
// begins with head; for anything else it is nil.
func checkInterpreter(path, head string) error {
	line, _, _ := strings.Cut(head, "\n")
	line, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return nil
	}
	if strings.HasSuffix(line, "\r") {
		return fmt.Errorf("%s: line 1 ends in CR LF, and the CR would be part of the interpreter's name; run: sed -i 's/\\r$//' %s", path, path)
	}
	line = strings.Trim(line, " \t")
	name, rest := line, ""
	if end := strings.IndexAny(line, " \t"); end > 0 {
		name, rest = line[:end], strings.Trim(line[end:], " \t")
	}
	if name == "" {
		return fmt.Errorf("%s: line 1 names no interpreter; begin it with a line such as #!/bin/sh", path)
	}
	if _, err := os.Stat(name); err != nil {
		return fmt.Errorf("%s: line 1 names the interpreter %s: %w; install it, or name one that is there", path, name, runner.ErrMissing)
	}
	if filepath.Base(name) != "env" {
		return nil
	}
	switch name = envProgram(rest); {
	case name == "":
		return nil // env says itself what it was given
	case strings.ContainsAny(name, " \t"):
		return fmt.Errorf("%s: line 1 has env look for a program called %q; write #!/usr/bin/env -S %s", path, name, name)
	}
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%s: line 1 has env look for %s: %w; install it, or put its folder in PATH", path, name, runner.ErrMissing)
	}
	return nil
}

// envProgram is the program that env looks for when it is given the rest of a
// script's first line, or "" where an option leaves that to env.
func envProgram(rest string) string {
	split, ok := strings.CutPrefix(rest, "-S")
	if !ok && runtime.GOOS == "linux" && !strings.HasPrefix(rest, "-") {
		return rest // one argument, blanks and all
	}
	for _, word := range strings.Fields(split) {
		switch {
		case strings.HasPrefix(word, "-"), strings.ContainsAny(word, `"'\\$`):
			return ""
		case !strings.Contains(word, "="):
			return word
		}
	}
	return ""
}

// isText tells whether a file that begins with head is text rather than a
// program that the system knows by its first bytes.
func isText(head string) bool {
	return head != "" && strings.IndexFunc(head, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f", r) || r == 0xfffd }) < 0
}
