package load

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const good = "# pmk: A:A -> B:B\ndef run(x):\n    return x\n"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "greet.py")
	write(t, path, good)
	m, err := File(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "greet" || m.File != path || m.Line != 1 || m.Contract.String() != "A:A -> B:B" || m.Version == "" {
		t.Errorf("read %+v", m)
	}
	write(t, path, good+"# edited\n")
	if again, err := File(path); err != nil || again.Version == m.Version {
		t.Errorf("an edited file has the version %s again, %v", again.Version, err)
	}
	write(t, path, "print('no header')\n")
	if _, err := File(path); !errors.Is(err, ErrNoSeed) || !strings.Contains(err.Error(), "# pmk:") {
		t.Errorf("a file without a header: %v", err)
	}
	if _, err := File(dir); err == nil {
		t.Error("a folder was read as a seed")
	}
	if _, err := File(filepath.Join(dir, "none.py")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.py": good, "a.py": good, "plain.py": "x = 1\n", ".hidden.py": good, "b.py~": good,
		"notes.md": "# pmk: A:A -> B:B\n", "bad.py": "# pmk: A:A => B:B\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o755); err != nil {
		t.Fatal(err)
	}
	ms, errs := Folder(dir)
	if len(ms) != 2 || ms[0].Name != "a" || ms[1].Name != "b" {
		t.Errorf("found %+v", ms)
	}
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "bad.py:1") {
		t.Errorf("errors: %v", errs)
	}
	if _, errs := Folder(filepath.Join(dir, "none")); len(errs) != 1 {
		t.Errorf("a folder that is not there: %v", errs)
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.py")
	write(t, path, good)
	changes := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Watch(ctx, []string{dir}, NewUses(), func(path string) { changes <- path }, slog.New(slog.DiscardHandler))
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-changes:
			if got != want {
				t.Errorf("%s changed, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s did not change", want)
		}
	}
	next(path) // what is there at the start
	write(t, path, good+"# edited\n")
	next(path)
	fresh := filepath.Join(dir, "new.tmp")
	write(t, fresh, good)
	if err := os.Rename(fresh, filepath.Join(dir, "b.py")); err != nil {
		t.Fatal(err)
	}
	next(filepath.Join(dir, "b.py"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next(path)
	away := dir + "-away" // the folder goes and comes back
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	next(filepath.Join(dir, "b.py"))
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	next(filepath.Join(dir, "b.py"))
	write(t, filepath.Join(dir, "b.py"), good+"# again\n")
	next(filepath.Join(dir, "b.py"))
	cancel()
	<-ended
}
