//go:build !linux

package supervise

import (
	"os"
	"syscall"
)

// A tree is the process group of this process.
type tree struct{}

func newTree(string, bool) *tree { return &tree{} }

func (*tree) start(args []string, attr *os.ProcAttr) (*os.Process, error) {
	return os.StartProcess(args[0], args, attr)
}

// terminate sends SIGTERM to the process group.
func (*tree) terminate() { syscall.Kill(0, syscall.SIGTERM) }

// sweep asks what is left of the process group to end. This process gets the
// signal as well, and notes only that it came; what ignores it stays behind.
func (t *tree) sweep() (left []string) {
	t.terminate()
	return nil
}

func (*tree) close() {}

func groupPath() string { return "" }

func endGroup(string) {}
