package supervise

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// killTime is how long a process that was killed may take to end: the system may
	// hold it in a call.
	killTime = 5 * time.Second
	// refusalTime is how long one may take that this user may not kill.
	refusalTime = time.Second
	// longestPause is how long it takes to look again at most.
	longestPause = 50 * time.Millisecond
)

// A tree is all processes below this one. What loses its parent there falls to this process, so
// that nothing of it escapes. It is ended by the kernel where it may be a control group, else
// process by process.
type tree struct {
	group *group            // nil where there may be none
	run   int               // the process group of the program that was started last
	left  map[identity]bool // those that did not end before, and are not waited for again
}

// newTree makes this process the one that its descendants fall to. group is where their control
// group may be. With mounts of its own, what is mounted or unmounted on the machine later is so
// here as well, and nothing of theirs is for the machine.
func newTree(group string, ownMounts bool) *tree {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // every Linux that Go runs on has it
	if ownMounts {
		unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, "") // where it fails, mounts are seen both ways
	}
	return &tree{group: enterNewGroup(group)}
}

// start starts a program that is a part of the tree: in a process group of its own, so that what it
// sends to that does not reach this process. It is not to go on where somebody kills this process.
func (t *tree) start(args []string, attr *os.ProcAttr) (*os.Process, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p, err := os.StartProcess(args[0], args, attr)
	if err == nil {
		t.run = p.Pid
	}
	return p, err
}

// terminate sends SIGTERM to every process of the tree.
func (t *tree) terminate() {
	for _, p := range descendants(os.Getpid()) {
		unix.Kill(p.pid, unix.SIGTERM) // it may just have ended
	}
}

// sweep kills every process of the tree and waits for their ends. It is called when no child is
// waited for elsewhere. What does not end is returned, once: what this user may not kill, as what
// sudo has started, and what the system holds.
func (t *tree) sweep() (left []string) {
	if !reap() { // most often
		return nil
	}
	began := time.Now()
	t.group.endOthers()
	for pause := 100 * time.Microsecond; reap(); pause = min(2*pause, longestPause) {
		there := t.kill(descendants(os.Getpid()))
		if !t.mayEnd(there, time.Since(began)) {
			return t.noteLeft(there)
		}
		time.Sleep(pause)
	}
	return nil
}

// kill kills processes, and notes which of them this user may not kill. Those that are in the
// process group of the run go at once with all others there: they may start new ones faster than
// these are listed.
func (t *tree) kill(all []process) []process {
	if slices.ContainsFunc(all, func(p process) bool { return p.group == t.run }) {
		unix.Kill(-t.run, unix.SIGKILL) // it may just have ended
	}
	for i := range all {
		all[i].foreign = unix.Kill(all[i].pid, unix.SIGKILL) == unix.EPERM
	}
	return all
}

// mayEnd tells whether processes are waited for that were first killed so long ago.
func (t *tree) mayEnd(there []process, ago time.Duration) bool {
	if len(there) == 0 { // they have just ended, or /proc does not show them
		return ago <= killTime
	}
	return slices.ContainsFunc(there, func(p process) bool {
		limit := killTime
		if p.foreign {
			limit = refusalTime
		}
		return ago <= limit && !t.left[p.identity()]
	})
}

// noteLeft notes that these processes stay, and names those that did not before.
func (t *tree) noteLeft(there []process) (names []string) {
	before := t.left
	t.left = map[identity]bool{}
	for _, p := range there {
		t.left[p.identity()] = true
		switch {
		case before[p.identity()]:
		case p.foreign:
			names = append(names, fmt.Sprintf("%s (process %d, of another user)", p.name, p.pid))
		default:
			names = append(names, fmt.Sprintf("%s (process %d, which the system holds)", p.name, p.pid))
		}
	}
	if len(there) == 0 {
		names = append(names, "a process that /proc does not show")
	}
	return names
}

// close removes the control group.
func (t *tree) close() { t.group.close() }

// reap takes the exit status of every child that has ended, and tells whether there are more.
func reap() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false
		case pid == 0:
			return true
		}
	}
}
