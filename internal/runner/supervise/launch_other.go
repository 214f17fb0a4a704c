//go:build !linux

package supervise

import (
	"os/exec"
	"syscall"
)

func launch(command func() *exec.Cmd) (*exec.Cmd, error) {
	cmd := command()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, cmd.Start()
}
