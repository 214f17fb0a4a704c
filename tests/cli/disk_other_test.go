//go:build !linux

package cli_test

import "github.com/rogpeppe/go-internal/testscript"

func mounts() bool { return false }

func disk(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("no mounts on this system") }
