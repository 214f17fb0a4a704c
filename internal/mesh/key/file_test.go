package key

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	k := New()
	path := filepath.Join(t.TempDir(), "lan.key")
	write(t, path, "# a key\n"+k.Text()+"\n", 0o600)
	got, err := Read(path)
	if err != nil || got != k {
		t.Fatalf("the key in the file is not the one that was written: %v", err)
	}
	for mode, want := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o644: true, 0o640: true, 0o602: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		warning := Exposed(path)
		if (warning != "") != want || want && !strings.Contains(warning, "chmod 600 "+path) {
			t.Errorf("mode %04o: warning %q; expected one: %v", mode, warning, want)
		}
	}
	if warning := Exposed(path+".not") + Exposed(filepath.Dir(path)); warning != "" {
		t.Errorf("warning %q of what is no file", warning)
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lan.key")
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "make one with: pmk key new > " + path},
		{"torn", New().Text()[:40], "line 1 is a key with 26 characters"},
		{"large", strings.Repeat("#\n", maxFile), "longer than"},
	} {
		write(t, path, c.text, 0o600)
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v; expected %q in it, and the file", c.name, err, c.want)
		}
	}
	_, err := Read(path + ".not")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "pmk key new > "+path+".not") {
		t.Errorf("error %v of a file that is missing", err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("error %v of a folder", err)
	}
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
