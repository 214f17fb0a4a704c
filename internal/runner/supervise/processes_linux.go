package supervise

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is one as /proc shows it.
type process struct {
	pid    int
	parent int
	group  int    // its process group
	start  string // when it started, since the machine did
	name   string
	ended  bool // and its parent has not asked how
	// foreign says that this user may not kill it.
	foreign bool
}

// An identity tells a process from all others of this machine's run.
type identity struct {
	pid   int
	start string
}

func (p process) identity() identity { return identity{p.pid, p.start} }

// readProcess reads the process of that number; ok is false where there is none.
func readProcess(pid int) (p process, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		// One of another user may be hidden (hidepid).
		return process{pid: pid}, unix.Kill(pid, 0) == unix.EPERM
	}
	return parseStat(pid, string(text))
}

// parseStat reads a line of the form "PID (NAME) STATE PARENT ...", where the name may hold
// anything.
func parseStat(pid int, line string) (process, bool) {
	const state, parent, group, start = 0, 1, 2, 19 // of what follows the name
	begin, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if begin < 0 || end < begin {
		return process{}, false
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) <= start {
		return process{}, false
	}
	above, err := strconv.Atoi(fields[parent])
	if err != nil {
		return process{}, false
	}
	with, err := strconv.Atoi(fields[group])
	if err != nil {
		return process{}, false
	}
	return process{
		pid: pid, parent: above, group: with, start: fields[start], name: line[begin+1 : end],
		ended: fields[state] == "Z" || fields[state] == "X",
	}, true
}

// descendants lists the processes below pid that have not ended.
func descendants(pid int) []process {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)); err != nil {
		return descendantsByParents(pid)
	}
	return descendantsByChildren(pid, nil)
}

// descendantsByChildren asks each process for its children, which the kernel may have been
// built without.
func descendantsByChildren(pid int, found []process) []process {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is a good one
	for _, file := range lists {
		list, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		for _, field := range bytes.Fields(list) {
			child, err := strconv.Atoi(string(field))
			if err != nil {
				continue
			}
			if p, ok := readProcess(child); ok && !p.ended {
				found = append(found, p)
			}
			found = descendantsByChildren(child, found)
		}
	}
	return found
}

// descendantsByParents asks each process of the machine for its parent.
func descendantsByParents(pid int) (found []process) {
	children := map[int][]process{}
	all, _ := os.ReadDir("/proc") // where it cannot be read there is nothing to find
	for _, entry := range all {
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if p, ok := readProcess(number); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var walk func(pid int)
	walk = func(pid int) {
		for _, p := range children[pid] {
			if !p.ended {
				found = append(found, p)
			}
			walk(p.pid)
		}
	}
	walk(pid)
	return found
}
