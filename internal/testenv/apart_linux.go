package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// apartEnv marks a process that [Apart] has set apart.
const apartEnv = "PMK_TEST_APART"

// Apart runs this test's binary again in mount and process name spaces of its
// own and exits with its status; there it returns. So whatever the tests
// mount or start is gone when they end, however they end. Who is not root
// becomes so in a user name space; where that is not allowed Apart returns,
// and tests that need it see to themselves. Call it first thing in TestMain.
func Apart() {
	if os.Getenv(apartEnv) != "" {
		if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, "mount /proc in name spaces of our own:", err)
			os.Exit(1)
		}
		os.Unsetenv(apartEnv)
		return
	}
	runtime.LockOSThread() // Pdeathsig is bound to it
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), apartEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// Made private by Unshareflags, which Cloneflags would not.
		Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(max(1, exit.ExitCode()))
	}
	fmt.Fprintln(os.Stderr, "the tests run without name spaces of their own:", err)
	runtime.UnlockOSThread()
}
