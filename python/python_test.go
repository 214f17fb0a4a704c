package python_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/python"
)

// oldest is the version of Python that the library is promised to run on.
const oldest = "3.8"

// TestWorker runs tests/, which drive real workers of the embedded library,
// with the python3 of this machine and with the oldest one if it has it.
func TestWorker(t *testing.T) {
	lib := t.TempDir()
	if err := os.CopyFS(lib, python.Library()); err != nil {
		t.Fatal(err)
	}
	readScripts(t)
	interpreters := []string{testenv.Need(t, "python3")}
	if old := findOldest(); old != "" {
		interpreters = append(interpreters, old)
	} else {
		t.Logf("no Python %s on this machine; tested with python3 only", oldest)
	}
	for _, python3 := range interpreters {
		t.Run(version(t, python3), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), python3, "-B", "-W", "error::ResourceWarning", "-m", "unittest", "discover", "-s", "tests", "-t", "tests")
			cmd.Env = append(os.Environ(), "PMK_TEST_LIBRARY="+lib)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %v\n%s", cmd, err, out)
			}
			if ran := regexp.MustCompile(`Ran (\d+) tests`).FindSubmatch(out); ran == nil || string(ran[1]) == "0" {
				t.Fatalf("%v ran no tests:\n%s", cmd, out)
			}
		})
	}
}

// readScripts opens what the tests are made of, so that go test, which keeps
// results, knows that they depend on it.
func readScripts(t *testing.T) {
	scripts, err := filepath.Glob("tests/*.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(scripts, "../docs/python-seeds.md") {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
}

// findOldest looks for the oldest Python on PATH and among pyenv's.
func findOldest() string {
	candidates := []string{"python" + oldest}
	if home, err := os.UserHomeDir(); err == nil {
		found, _ := filepath.Glob(filepath.Join(home, ".pyenv/versions", oldest+".*", "bin/python3")) // the pattern is well formed
		candidates = append(found, candidates...)
	}
	for _, c := range candidates {
		// Pyenv leaves a python3.8 on PATH that only says that there is none.
		if exec.Command(c, "-c", "").Run() == nil {
			return c
		}
	}
	return ""
}

func version(t *testing.T, python3 string) string {
	out, err := exec.Command(python3, "--version").Output()
	if err != nil {
		t.Fatalf("%s --version: %v", python3, err)
	}
	return strings.TrimSpace(string(out))
}

func TestLibrary(t *testing.T) {
	if _, err := fs.Stat(python.Library(), python.Main); err != nil {
		t.Error(err)
	}
	onDisk, err := filepath.Glob("pumpkin/*.py")
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := fs.Glob(python.Library(), "pumpkin/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(embedded) != len(onDisk) {
		t.Errorf("embedded are %q; on disk are %q", embedded, onDisk)
	}
	if h := python.Hash(); len(h) != 32 || h != python.Hash() {
		t.Errorf("Hash() = %q, then %q; expected the same 32 digits", h, python.Hash())
	}
}
