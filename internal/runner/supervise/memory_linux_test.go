package supervise

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
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
		"12:cpu:/x\n4:memory:/one\n0::/none\n": 5,
		"0::/none\n":                           0,
		"nonsense":                             0,
	} {
		if got := oomKillsIn(root, groups); got != want {
			t.Errorf("%q: %d, want %d", groups, got, want)
		}
	}
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
