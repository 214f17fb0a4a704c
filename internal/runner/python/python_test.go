package python

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/python"
)

// A library of which files are gone or changed is made whole again.
func TestUnpackRepairs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib")
	if err := unpack(dir); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, filepath.FromSlash(python.Main))
	want, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"removed": func() error { return os.Remove(main) },
		"changed": func() error { return os.WriteFile(main, []byte("x"), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := unpack(dir); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(main); err != nil || string(got) != string(want) {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
	}
}

// The library is put back for the next worker when its folder is gone.
func TestTheLibraryComesBack(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for range 2 {
		dir, err := library()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(python.Main))); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := library()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(python.Main))); err != nil {
		t.Fatal(err)
	}
	if _, err := library(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(python.Main))); err != nil {
		t.Error("one file is still gone: ", err)
	}
}

func TestPythonThatIsMissing(t *testing.T) {
	if _, err := find(t.Context(), choice{name: "/none/python3"}); !errors.Is(err, runner.ErrMissing) {
		t.Errorf("found with %v", err)
	}
}

// What is missing is looked for again, what was found is not.
func TestUntilFound(t *testing.T) {
	looked := 0
	find := untilFound(func(context.Context) (string, error) {
		if looked++; looked == 1 {
			return "", runner.ErrMissing
		}
		return os.Args[0], nil
	})
	if _, err := find(t.Context()); !errors.Is(err, runner.ErrMissing) {
		t.Errorf("found with %v", err)
	}
	for range 2 {
		if path, err := find(t.Context()); path != os.Args[0] || err != nil || looked != 2 {
			t.Errorf("found %q, %v, after %d looks", path, err, looked)
		}
	}
}
