package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// nodeEnv has the test's binary be a node that is measured, of the kind that it
// names.
const nodeEnv = "PMK_BENCH_TEST_NODE"

func TestMain(m *testing.M) {
	kind := os.Getenv(nodeEnv)
	var err error
	switch kind {
	case "":
		os.Exit(m.Run())
	case "scale":
		err = ServeScale(context.Background(), os.Stdin, os.Stdout)
	default:
		err = ServeOther(context.Background(), os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// asNode makes the commands of such nodes.
func asNode(t *testing.T, kind string) func() *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func() *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), nodeEnv+"="+kind)
		return cmd
	}
}
