package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// AsInit returns at once, unless this process is the first of a container: then the program
// runs in a child, and this one does what the system expects of process 1, until the child
// ends, whose exit status it has. It takes the exit status of every process that has lost its
// parent, which would stay as a zombie, and passes signals on.
func AsInit() {
	if os.Getpid() != 1 {
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGCONT, unix.SIGWINCH)
	child, err := startChild()
	if err != nil {
		fmt.Fprintf(os.Stderr, "pmk: as process 1, start the program: %v\n", err)
		os.Exit(1)
	}
	go func() { // ends with the process
		for s := range signals {
			_ = child.Signal(s) // it may just have ended
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR, err == nil && pid != child.Pid:
		case err != nil:
			fmt.Fprintf(os.Stderr, "pmk: as process 1, wait for the program: %v\n", err)
			os.Exit(1)
		case status.Signaled():
			os.Exit(128 + int(status.Signal()))
		case status.Exited():
			os.Exit(status.ExitStatus())
		}
	}
}

// startChild starts this program again. What a terminal sends goes to the child alone: it
// would count twice if it was passed on as well.
func startChild() (*os.Process, error) {
	start := func(attr *unix.SysProcAttr) (*os.Process, error) {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Args[0] = os.Args[0]
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdin, os.Stdout, os.Stderr, attr
		err := cmd.Start()
		return cmd.Process, err
	}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		if child, err := start(&unix.SysProcAttr{Foreground: true, Ctty: 0}); err == nil {
			return child, nil
		}
	}
	return start(nil)
}
