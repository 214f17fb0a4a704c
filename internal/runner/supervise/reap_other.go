//go:build !linux

package supervise

import (
	"os"
	"syscall"
)

func settle() {}

// sweep kills what is left of the process group, this process excepted: it
// ignores the signal that it sends first, and what ignores it, too, stays
// behind until the supervisor ends.
func sweep() { syscall.Kill(0, syscall.SIGTERM) }

func askStack(p *os.Process) error { return p.Signal(syscall.SIGQUIT) }
