package supervise

import (
	"os"
	"os/exec"
	"syscall"
)

// launch starts a supervisor. As root it has its mounts for itself, so that what a run mounts
// ends with it; where that is refused, as in most containers, it has those of the node.
func launch(command func(ownMounts bool) (*exec.Cmd, error)) (*exec.Cmd, error) {
	if os.Geteuid() == 0 {
		cmd, err := command(true)
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNS}
		if err := cmd.Start(); err == nil {
			return cmd, nil
		}
	}
	cmd, err := command(false)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is the node's business
	return cmd, cmd.Start()
}
