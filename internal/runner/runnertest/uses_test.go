package runnertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A seed that uses what lies beside it, and what it told of that.
type user struct {
	t        *testing.T
	dir      string
	m        seed.Manifest
	imported []string
	versions []string
}

func newUser(t *testing.T, name, source string, mode seed.Mode, uses ...string) *user {
	path := write(t, name, source)
	u := &user{t: t, dir: filepath.Dir(path), m: seed.Manifest{Name: "seed", File: path, Version: "0123456789ab", Mode: mode, Uses: uses,
		Kind: seed.KindOf(name), Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}}
	return u
}

func (u *user) write(name, text string) {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) open() *bench {
	u.t.Helper()
	open := process.Open
	if u.m.Kind == seed.Python {
		open = python.Open
	}
	r, err := open(u.m, runner.Env{Uses: func(imported []string, version string) {
		u.imported, u.versions = imported, append(u.versions, version)
	}})
	if err != nil {
		u.t.Fatal(err)
	}
	return &bench{t: u.t, r: r}
}

// gives expects what one packet gives.
func gives(t *testing.T, b *bench, w runner.Worker, want string) {
	t.Helper()
	if sink, err := b.run(w, "x"); err != nil || len(sink.Outs) != 1 || strings.TrimSpace(sink.Outs[0].Data) != want {
		t.Errorf("gave %v, %v, %v, want %s", sink.Outs, sink.Dones, err, want)
	}
}

// After a helper is edited, no worker of the old version starts with the new one: those of a seed
// have all loaded the same. The new version is another.
func TestAHelperThatIsEdited(t *testing.T) {
	testenv.Need(t, "python3")
	u := newUser(t, "seed.py", "import helper, json\nfrom pkg import sub\ndef run(data):\n    return helper.text + sub.text\n", "")
	u.write("helper.py", "text = 'old'\n")
	u.write("pkg/__init__.py", "")
	u.write("pkg/sub.py", "text = ' sub'\n")
	b := u.open()
	first := b.worker()
	var want []string
	for _, name := range []string{"helper.py", "pkg/__init__.py", "pkg/sub.py"} {
		want = append(want, filepath.Join(u.dir, name))
	}
	if !slices.Equal(u.imported, want) {
		t.Errorf("it has imported %q, want %q", u.imported, want)
	}
	before := b.r.(runner.Teller).Loaded()
	if !strings.HasPrefix(before.Version, "0123456789ab.") || !slices.Contains(u.versions, before.Version) {
		t.Errorf("the version is %q, and %q were told", before.Version, u.versions)
	}
	if !strings.Contains(before.Interpreter, "python 3.") || !filepath.IsAbs(before.Interpreter) {
		t.Errorf("the interpreter is %q", before.Interpreter)
	}
	gives(t, b, b.worker(), "old sub")
	u.write("helper.py", "text = 'newer'\n") // of another length, which Python's cache tells apart
	if _, err := b.r.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "helper.py was changed since seed.py was loaded") {
		t.Errorf("a worker with another helper was opened: %v", err)
	}
	gives(t, b, first, "old sub")
	b = u.open()
	gives(t, b, b.worker(), "newer sub")
	if after := b.r.(runner.Teller).Loaded().Version; after == before.Version {
		t.Errorf("the version is still %q", after)
	}
	u.write("helper.py", "text = 'old'\n")
	b = u.open()
	b.worker()
	if again := b.r.(runner.Teller).Loaded().Version; again != before.Version {
		t.Errorf("with the old helper the version is %q, and was %q", again, before.Version)
	}
}

// A helper that cannot be loaded is told as well: an edit of it is worth another try.
func TestAHelperThatIsBroken(t *testing.T) {
	testenv.Need(t, "python3")
	for _, text := range []string{"text = ", "raise ValueError('x')", "import nothing_of_that_name"} {
		u := newUser(t, "seed.py", "import helper\ndef run(data):\n    return helper.text\n", "")
		u.write("helper.py", text)
		if _, err := u.open().r.Open(t.Context()); err == nil {
			t.Fatal("it was loaded")
		}
		if want := []string{filepath.Join(u.dir, "helper.py")}; !slices.Equal(u.imported, want) || !slices.Equal(u.versions, []string{""}) {
			t.Errorf("%s: told %q and the versions %q", text, u.imported, u.versions)
		}
	}
}

// What a helper is replaced by while it is loaded is not taken for what was loaded.
func TestAHelperThatIsEditedWhileItIsLoaded(t *testing.T) {
	testenv.Need(t, "python3")
	u := newUser(t, "seed.py", `import helper, os
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "helper.py")
if helper.text == "old":
    with open(path, "w") as f:
        f.write("text = 'newer'\n")
def run(data):
    return helper.text
`, "")
	u.write("helper.py", "text = 'old'\n")
	b := u.open()
	gives(t, b, b.worker(), "newer")
}

// A file that the header names is a part of the version, for programs that stay, too.
func TestAUsedFileThatIsEdited(t *testing.T) {
	u := newUser(t, "seed.sh", "#!/bin/sh\nwords=$(cat words.dat)\nwhile read -r line; do echo $words; done\n", seed.Lines, "words.dat")
	u.write("words.dat", "old")
	b := u.open()
	first := b.worker()
	gives(t, b, first, "old")
	u.write("words.dat", "new")
	if _, err := b.r.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "words.dat was changed since seed.sh was loaded") {
		t.Errorf("a worker with another file was opened: %v", err)
	}
	gives(t, b, first, "old")
	b = u.open()
	gives(t, b, b.worker(), "new")
}
