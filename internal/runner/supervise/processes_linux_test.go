package supervise

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/testenv"
)

// Descendants are found with a kernel that lists children and with one that does not, those in a
// session of their own included; ended ones that wait for their parent are none.
func TestDescendants(t *testing.T) {
	cmd := exec.Command("sh", "-c", `sh -c 'sleep 1001 & setsid sleep 1002 & wait' & sh -c '(exit) & exec sleep 1003' & wait`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, p := range descendants(cmd.Process.Pid) {
			unix.Kill(p.pid, unix.SIGKILL) // it may just have ended
		}
		cmd.Process.Kill()
		cmd.Wait() // it was killed
	}()
	for name, list := range map[string]func() []process{
		"children": func() []process { return descendantsByChildren(cmd.Process.Pid, nil) },
		"parents":  func() []process { return descendantsByParents(cmd.Process.Pid) },
		"either":   func() []process { return descendants(cmd.Process.Pid) },
	} {
		testenv.Eventually(t, time.Minute, "all are found by "+name, func() bool {
			var names []string
			for _, p := range list() {
				names = append(names, p.name)
			}
			slices.Sort(names)
			return strings.Join(names, " ") == "sh sleep sleep sleep"
		})
	}
}

// A name may hold anything.
func TestAProcessIsRead(t *testing.T) {
	const rest = " 7 8 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	for line, want := range map[string]process{
		"12 (sh) S 3" + rest:        {pid: 12, parent: 3, group: 7, start: "4711", name: "sh"},
		"12 (a) Z 1 (b) Z 3" + rest: {pid: 12, parent: 3, group: 7, start: "4711", name: "a) Z 1 (b", ended: true},
		"12 (two words) D 3" + rest: {pid: 12, parent: 3, group: 7, start: "4711", name: "two words"},
		"12 (sh) S":                 {},
		"nothing":                   {},
		"12 )sh( S 3" + rest:        {},
		"12 (sh) S a number" + rest: {},
		"12 (\n\xff) S 3" + rest:    {pid: 12, parent: 3, group: 7, start: "4711", name: "\n\xff"},
	} {
		if got, ok := parseStat(12, line); got != want || ok != (want.pid != 0) {
			t.Errorf("%q is %+v, %v, want %+v", line, got, ok, want)
		}
	}
}
