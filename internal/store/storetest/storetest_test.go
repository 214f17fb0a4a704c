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
		Open: func(ctx context.Context, dir string, size, reserve int64) (store.Store, error) {
			return openLogged(ctx, dir, size, reserve, os.Getenv(defectEnv))
		},
		Promise: store.Promise{Kill: true},
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
	} {
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
