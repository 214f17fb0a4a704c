package supervise

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestOutOfMemoryIsCounted(t *testing.T) {
	root := t.TempDir()
	for file, text := range map[string]string{
		"two/memory.events":             "low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
		"memory/one/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for groups, want := range map[string]int64{
		"0::/two\n":                            2,
		"0::/two/pmk-worker\n":                 2,
		"12:cpu:/x\n4:memory:/one\n0::/none\n": 5,
		"0::/none\n":                           0,
		"nonsense":                             0,
	} {
		if got := oomKillsIn(root, groups); got != want {
			t.Errorf("%q: %d, want %d", groups, got, want)
		}
	}
}

func TestTheKernelLogTellsOfMemory(t *testing.T) {
	log := []string{
		"6,339,5140900,-;NET: Registered PF_INET protocol family\n SUBSYSTEM=net\n",
		"3,910,90000000,-;Out of memory: Killed process 4711 (python3) total-vm:1024kB, anon-rss:1000kB, UID:0\n",
		"3,911,95000000,-;Memory cgroup out of memory: Killed process 12 (sort) total-vm:1kB\n",
		"4,912,96000000,-;a program says: Killed process 13 (gzip)\n",
		"3,913,97000000,-;Out of memory: Killed process 14 (a-long-name-of-) total-vm:1kB\n",
		"nonsense",
	}
	for _, c := range []struct {
		name  string
		since time.Duration
		want  bool
	}{
		{"python3", 80 * time.Second, true},
		{"python3", 91 * time.Second, false},
		{"python", 0, false},
		{"sort", 91 * time.Second, true},
		{"gzip", 0, false},
		{"a-long-name-of-a-program.sh", 0, true},
	} {
		if got := killedIn(log, c.since, c.name); got != c.want {
			t.Errorf("%s since %v: %v", c.name, c.since, got)
		}
	}
	kernelLog() // which ends, whether it may be read or not
}

func TestEndsAreExplained(t *testing.T) {
	const killed = syscall.WaitStatus(syscall.SIGKILL)
	for _, c := range []struct {
		status syscall.WaitStatus
		oom    bool
		want   string
	}{
		{3 << 8, false, "exit status 3"},
		{126 << 8, false, "exit status 126 (a command is not executable)"},
		{127 << 8, false, "exit status 127 (a command was not found)"},
		{141 << 8, false, "exit status 141 (SIGPIPE: what it wrote to had ended)"},
		{143 << 8, false, "exit status 143 (SIGTERM)"},
		{255 << 8, false, "exit status 255"},
		{killed, false, "killed by SIGKILL"},
		{killed, true, "killed by SIGKILL, probably out of memory"},
	} {
		if got := statusText(c.status, c.oom); got != c.want {
			t.Errorf("%#x is %q, want %q", uint32(c.status), got, c.want)
		}
	}
}
