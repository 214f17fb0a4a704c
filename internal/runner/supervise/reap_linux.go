package supervise

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// settle makes this process the one that its descendants fall to. In a
// namespace it also shows them their own /proc; where that is refused they see
// the machine's, which only looks odd. What is mounted or unmounted on the machine
// later is so for them as well, and nothing of theirs is for the machine.
func settle() {
	if os.Getpid() == 1 {
		if unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, "") == nil {
			unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		}
		return
	}
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without it, orphans escape
}

// sweep kills every process below this one and waits for them. It is called
// when no child is waited for elsewhere.
func sweep() {
	if os.Getpid() == 1 {
		unix.Kill(-1, unix.SIGKILL) // an error means that there is none
		reap(0)
		return
	}
	for {
		below := descendants(os.Getpid())
		if len(below) == 0 {
			return
		}
		for _, pid := range below {
			unix.Kill(pid, unix.SIGKILL) // it may just have ended
		}
		reap(unix.WNOHANG)
	}
}

// terminate sends SIGTERM to every process below this one.
func terminate() {
	if os.Getpid() == 1 {
		unix.Kill(-1, unix.SIGTERM) // an error means that there is none
		return
	}
	for _, pid := range descendants(os.Getpid()) {
		unix.Kill(pid, unix.SIGTERM) // it may just have ended
	}
}

// reap takes the exit status of every child: of all, or, with WNOHANG, of
// those that have ended.
func reap(options int) {
	for {
		pid, err := unix.Wait4(-1, nil, options, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
	}
}

// descendants lists the processes below pid.
func descendants(pid int) []int {
	var out []int
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil // it has ended
	}
	for _, task := range tasks {
		list, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		for _, field := range bytes.Fields(list) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				out = append(out, child)
				out = append(out, descendants(child)...)
			}
		}
	}
	return out
}
