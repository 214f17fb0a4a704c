package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/recap/pumpkin"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/testenv"
)

func TestMain(m *testing.M) {
	supervise.Main()
	testscript.Main(m, map[string]func(){"pmk": pmk})
}

// pmk is the program, with the hello world seeds of cmd/pmk.
func pmk() {
	pumpkin.MainStock(
		pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }).Named("inject"),
		pumpkin.Transform("String:UNGREETED -> String:GREETING", func(name string) string { return "Hello " + name }).Named("greet"),
		pumpkin.Extract("String:GREETING ->", func(greeting string) { fmt.Println("Greeting:", greeting) }).Named("extract"),
	)
}

// TestScripts runs the command lines in testdata/script. Beside testscript's
// own there is the command
//
//	until COMMAND [ARG...]
//
// which runs a command again and again until it succeeds, for at most two minutes, longer
// than what is tried again pauses, and
//
//	disk DIR OPTIONS
//
// which mounts a file system of its own on the folder, or changes the options
// of the one that is there, and
//
//	share DIR AT
//
// which mounts a folder on another as a network file system would be. The conditions
// [mounts] and [shares] tell whether that can be done here, [users] whether there are user
// namespaces in which inotify can be limited, and [leases] whether the system tells who
// writes to a file; in CI it must.
func TestScripts(t *testing.T) {
	testenv.Need(t, "python3")
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			run := filepath.Join(env.WorkDir, "run")
			env.Setenv("XDG_RUNTIME_DIR", run)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("EXAMPLES", examples)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // processes of a race build would end a second late
			return os.Mkdir(run, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": until, "disk": disk, "share": share, "nats": nats},
		Condition: func(name string) (bool, error) {
			switch name {
			case "mounts":
				return mounts(), nil
			case "shares":
				return shares(), nil
			case "users":
				return users(), nil
			case "leases":
				return leases(t.TempDir()), nil
			}
			return false, fmt.Errorf("there is no condition %s", name)
		},
	})
}

// until leaves the CPUs to what it waits for at least as long as the command has them:
// scripts run side by side.
func until(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		began := time.Now()
		err := ts.Exec(args[0], args[1:]...)
		if (err == nil) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("until %s: still %v after two minutes", strings.Join(args, " "), err)
		}
		time.Sleep(min(max(time.Since(began), 50*time.Millisecond), time.Second))
	}
}
