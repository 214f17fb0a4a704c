package supervise

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// A launching is one request to the launcher.
type launching struct {
	command func() *exec.Cmd
	cmd     *exec.Cmd
	err     error
	done    chan struct{}
}

// launcher starts the one thread that starts all supervisors: the kernel sends
// Pdeathsig when the thread ends that forked, so it must live as long as the
// process.
var launcher = sync.OnceValue(func() chan<- *launching {
	requests := make(chan *launching)
	go func() {
		runtime.LockOSThread()
		for l := range requests {
			l.cmd, l.err = start(l.command)
			close(l.done)
		}
	}()
	return requests
})

func launch(command func() *exec.Cmd) (*exec.Cmd, error) {
	l := &launching{command: command, done: make(chan struct{})}
	launcher() <- l
	<-l.done
	return l.cmd, l.err
}

// start starts the supervisor in a PID namespace, or without one where that is
// refused.
func start(command func() *exec.Cmd) (*exec.Cmd, error) {
	cmd := command()
	attr := &syscall.SysProcAttr{
		Setpgid:    true, // a terminal's Ctrl-C is the node's business
		Pdeathsig:  syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
	}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err == nil {
		return cmd, nil
	}
	cmd = command()
	// The lifeline's end is what tells this one; SIGTERM lets it act.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	return cmd, cmd.Start()
}
