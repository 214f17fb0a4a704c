package pumpkin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

// The unit in the docs is one that systemd takes, with what a node needs of it.
func TestTheUnitInTheDocs(t *testing.T) {
	text, err := os.ReadFile("docs/several-machines.md")
	if err != nil {
		t.Fatal(err)
	}
	_, unit, _ := strings.Cut(string(text), "# /etc/systemd/system/pmk.service\n")
	unit, _, found := strings.Cut(unit, "\n\n`systemctl stop`")
	if !found {
		t.Fatal("there is no unit")
	}
	unit = strings.ReplaceAll(unit, "\n    ", "\n")
	for _, line := range []string{"KillMode=mixed", "OOMPolicy=continue", "Delegate=yes", "RuntimeDirectory=pumpkin", "WorkingDirectory=/var/lib/pumpkin"} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("it lacks %s", line)
		}
	}
	testenv.Need(t, "systemd-analyze")
	program, err := os.Executable() // verify wants one that is there
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pmk.service")
	unit = strings.Replace(strings.TrimPrefix(unit, "    "), "/usr/local/bin/pmk", program, 1)
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "pmk.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
