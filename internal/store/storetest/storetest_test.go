package storetest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/store"
)

// defectEnv makes TestLogged open stores with this defect.
const defectEnv = "STORETEST_DEFECT"

func TestLogged(t *testing.T) {
	Run(t, Kind{
		Open: func(_ context.Context, o Options) (store.Store, error) {
			return openReference(o, os.Getenv(defectEnv))
		},
		Promise: store.Promise{Kill: true, Atomic: true},
		Clock:   true,
	})
}

func TestMemory(t *testing.T) {
	Run(t, Kind{
		Open: func(_ context.Context, o Options) (store.Store, error) {
			o.Dir = ""
			return openReference(o, "")
		},
		Promise: store.Promise{Atomic: true},
	})
}

// TestDefects sees the suite find what is wrong with a store.
func TestDefects(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ defect, found string }{
		{"loses", "storm"},
		{"comes again", "storm"},
		{"keeps what comes too late", "exclusive"},
		{"leases lapse", "long_lease"},
		{"no count", "deliveries"},
		{"no count", "kill"},
		{"no delay", "release_with_a_delay"},
		{"no bound", "full"},
		{"full without a word", "full_at_once"},
		{"late writes", "kill"},
		{"late writes", "kill_whole"},
		{"tears transactions", "whole"},
		{"tears transactions", "kill_whole"},
		{"late acks count", "lapsed"},
		{"deaf", "ended"},
		{"no delay", "delayed"},
		{"hides delayed frames", "delayed"},
		{"trusts the clock", "clock"},
		{"forgets queues late", "cost_of_many_queues"},
		{"makes what is asked for", "cost_of_the_unknown"},
		{"loses records", "random"},
		{"no count", "random"},
	} {
		if raceDetector && strings.HasPrefix(c.found, "cost") {
			continue // Run leaves these out then
		}
		t.Run(c.defect+" in "+c.found, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestLogged$/^"+c.found+"$", "-test.timeout=120s")
			cmd.Env = append(os.Environ(), defectEnv+"="+c.defect)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestLogged/"+c.found) {
				t.Errorf("the suite did not find it: %v\n%s", err, out)
			}
		})
	}
}
