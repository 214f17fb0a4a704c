//go:build !linux

package supervise

import "syscall"

func settle() {}

// sweep asks what is left of the process group to end. This process gets the
// signal as well, and notes only that it came; what ignores it stays behind.
func sweep() { terminate() }

// terminate sends SIGTERM to the process group.
func terminate() { syscall.Kill(0, syscall.SIGTERM) }
