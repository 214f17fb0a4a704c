//go:build !linux

package supervise

import (
	"os/exec"
	"syscall"
)

func launch(command func(ownMounts bool) (*exec.Cmd, error)) (*exec.Cmd, error) {
	cmd, err := command(false)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, cmd.Start()
}
