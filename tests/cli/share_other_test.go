//go:build !linux

package cli_test

import "github.com/rogpeppe/go-internal/testscript"

func shares() bool { return false }

func users() bool { return false }

func leases(string) bool { return false }

func share(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("no mounts on this system") }
