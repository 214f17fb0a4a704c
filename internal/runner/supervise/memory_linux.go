package supervise

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
		file := ""
		switch {
		case fields[1] == "": // version 2
			file = filepath.Join(root, fields[2], "memory.events")
		case fields[1] == "memory":
			file = filepath.Join(root, "memory", fields[2], "memory.oom_control")
		default:
			continue
		}
		text, err := os.ReadFile(file)
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
