package pumpkin_test

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recap/pumpkin"
)

// programEnv has this test's binary be one of the programs below instead.
const programEnv = "PUMPKIN_TEST_PROGRAM"

// programs are the mains of programs with seeds compiled in.
var programs = map[string]func(){
	"hello": func() {
		pumpkin.Main(
			pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }).Named("inject"),
			pumpkin.Transform("String:UNGREETED -> String:GREETING", greet).Named("greet").About("Greets by name."),
		)
	},
	"stock": func() {
		pumpkin.MainStock(pumpkin.Transform("String:UNGREETED -> String:GREETING", greet))
	},
}

func greet(name string) string { return "Hello " + name }

func TestMain(m *testing.M) {
	if program := programs[os.Getenv(programEnv)]; program != nil {
		program()
	}
	os.Exit(apart(m))
}

// apart runs the tests where no other node of this user is met.
func apart(m *testing.M) int {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	dir, err := os.MkdirTemp("", "pumpkin")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"XDG_RUNTIME_DIR", "XDG_DATA_HOME"} {
		if err := os.Setenv(name, filepath.Join(dir, name)); err != nil {
			panic(err)
		}
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// runProgram runs one of the programs as a user would, and returns what it prints.
func runProgram(name string, args ...string) string {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), programEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	lines := strings.Split(string(out), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ") // as an example's output is
	}
	return strings.Join(lines, "\n")
}
