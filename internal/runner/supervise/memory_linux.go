package supervise

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// riskFirst has the system end a run before the node when memory runs out.
func riskFirst() {
	const file = "/proc/self/oom_score_adj"
	text, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if score, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		os.WriteFile(file, []byte(strconv.Itoa(min(score+300, 1000))), 0) // raising it is always allowed
	}
}

// A memory is what was known of memory at one moment.
type memory struct {
	kills int64         // see oomKills
	at    time.Duration // by the clock of the kernel's log
}

func memoryNow() memory { return memory{oomKills(), kernelTime()} }

// ranOut tells whether the system has killed a process since then for want of memory: one of this
// control group or, as far as its log may be read, one of the program's name.
func (m memory) ranOut(program string) bool {
	return oomKills() > m.kills || killedIn(kernelLog(), m.at-clockError, filepath.Base(program))
}

// clockError is how far the clock of the kernel's log may be from the one that can be read.
const clockError = time.Second

// kernelTime is the time since the start of the machine, as the kernel's log has it.
func kernelTime() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// maxKernelLog is how many records of the kernel's log are read.
const maxKernelLog = 1 << 16

// kernelLog is the kernel's log, as /dev/kmsg gives it: nothing where that may not be read.
func kernelLog() (records []string) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd) // only read
	record := make([]byte, 8<<10)
	for range maxKernelLog {
		n, err := unix.Read(fd, record)
		switch err {
		case nil:
			records = append(records, string(record[:n]))
		case unix.EPIPE, unix.EINTR, unix.EINVAL: // one was overwritten, or is too long
		default: // EAGAIN: those were all
			return records
		}
	}
	return records
}

// killedIn tells whether records of the kernel's log say that a process of this name was killed for
// want of memory, at that time or later. A record is "PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT".
func killedIn(records []string, since time.Duration, name string) bool {
	const longestName = 15 // of a process
	what := " (" + name[:min(len(name), longestName)] + ")"
	for _, r := range records {
		head, text, _ := strings.Cut(r, ";")
		fields := strings.Split(head, ",")
		if len(fields) < 3 {
			continue
		}
		at, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || time.Duration(at)*time.Microsecond < since {
			continue
		}
		before, killed, ok := strings.Cut(text, "Killed process ")
		pid := strings.TrimLeft(killed, "0123456789")
		if ok && strings.Contains(strings.ToLower(before), "out of memory") && strings.HasPrefix(pid, what) {
			return true
		}
	}
	return false
}

// oomKills is how many processes of this one's control group the system has killed
// since memory ran out, or 0 where that is not counted.
func oomKills() int64 {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	return oomKillsIn("/sys/fs/cgroup", string(text))
}

// oomKillsIn is oomKills by the list of a process's groups, which are below root.
func oomKillsIn(root, groups string) int64 {
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		var text []byte
		var err error
		switch {
		case fields[1] == "": // version 2, which counts in the next one above that limits memory
			for group := filepath.Join("/", fields[2]); ; group = filepath.Dir(group) {
				if text, err = os.ReadFile(filepath.Join(root, group, "memory.events")); err == nil || group == "/" {
					break
				}
			}
		case fields[1] == "memory":
			text, err = os.ReadFile(filepath.Join(root, "memory", fields[2], "memory.oom_control"))
		default:
			continue
		}
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
				n, _ := strconv.ParseInt(strings.TrimSpace(count), 10, 64) // what does not parse is no count
				return n
			}
		}
	}
	return 0
}
