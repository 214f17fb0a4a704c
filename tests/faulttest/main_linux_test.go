package faulttest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/tests/faulttest/lossy"
)

// binaryEnv names the program of the nodes, which is built once.
const binaryEnv = "PMK_FAULT_BINARY"

func TestMain(m *testing.M) {
	lossy.Main()
	testenv.Apart()
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// run runs the tests with a program of the nodes and a place of their own
// where those meet.
func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "pmk-faults-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "sink")
	build := exec.Command("go", "build", "-o", binary, "./sink")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the node: %w\n%s", err, out)
	}
	os.Setenv(binaryEnv, binary)
	os.Setenv("XDG_RUNTIME_DIR", dir)
	// The faults wait more than they work: they all run at a time.
	flag.Set("test.parallel", "16")
	return m.Run(), nil
}
