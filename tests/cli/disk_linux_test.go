package cli_test

import (
	"os"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// mounts tells whether a test can mount a file system. In CI it is taken to,
// and a test fails that cannot.
func mounts() bool {
	if os.Getenv("CI") != "" {
		return true
	}
	dir, err := os.MkdirTemp("", "pmk-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if unix.Mount("tmpfs", dir, "tmpfs", 0, "size=65536") != nil {
		return false
	}
	return unix.Unmount(dir, 0) == nil
}

func disk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	var flags uintptr
	options := args[1:]
	if i := slices.Index(options, "ro"); i >= 0 {
		options, flags = slices.Delete(slices.Clone(options), i, i+1), unix.MS_RDONLY
	}
	if slices.Contains(options, "remount") {
		ts.Check(unix.Mount("", dir, "", flags|unix.MS_REMOUNT, ""))
		return
	}
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=0700,"+options[0]))
	// Even if a process of a test that failed still has files there.
	ts.Defer(func() { ts.Check(unix.Unmount(dir, unix.MNT_DETACH)) })
}
