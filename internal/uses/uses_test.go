package uses

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/seed"
)

// folder makes a folder with these files.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), name)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	dir := folder(t, "words.dat", "b.csv", "a.csv", "data/1", "data/sub/2", "data/.hidden", "data/__pycache__/x.pyc", "[x]")
	for names, want := range map[string]struct{ files, folders string }{
		"words.dat":       {"words.dat", "."},
		"*.csv a.csv":     {"a.csv b.csv", "."},
		"data":            {"data/1 data/sub/2", ". data data/sub"},
		"data/*":          {"data/1 data/sub/2 data/.hidden data/__pycache__/x.pyc", "data data/sub data/__pycache__"},
		`\[x\] data/sub`:  {"[x] data/sub/2", ". data data/sub"},
		"d*/sub words.*t": {"data/sub/2 words.dat", ". data/sub"},
	} {
		files, folders, err := Files(seed.Manifest{File: filepath.Join(dir, "s.py"), Uses: strings.Fields(names)})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			got  []string
			want string
		}{{files, want.files}, {folders, want.folders}} {
			var all []string
			for _, name := range strings.Fields(c.want) {
				all = append(all, filepath.Join(dir, filepath.FromSlash(name)))
			}
			slices.Sort(all)
			slices.Sort(c.got)
			if !slices.Equal(slices.Compact(c.got), all) {
				t.Errorf("%s: got %q, want %q", names, c.got, all)
			}
		}
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	dir := folder(t, "words.dat", "empty/.hidden")
	for names, want := range map[string]string{
		"wrods.dat":    `no file is called "wrods.dat" in ` + dir + `: did you mean "words.dat"?`,
		"x*.y":         `no file is called "x*.y"`,
		"empty":        `no file is called "empty"`,
		"no/such/file": `no file is called "no/such/file"`,
	} {
		_, folders, err := Files(seed.Manifest{File: filepath.Join(dir, "s.py"), Uses: strings.Fields(names)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", names, err, want)
		}
		if len(folders) == 0 {
			t.Errorf("%s: no folder is watched until it is there", names)
		}
	}
}

// A version is that of the same files wherever they lie, and another when one of them is.
func TestVersion(t *testing.T) {
	version := func(dir string, imported ...string) string {
		t.Helper()
		m := seed.Manifest{File: filepath.Join(dir, "s.py"), Version: "0123456789ab", Uses: []string{"words.dat"}}
		for i, name := range imported {
			imported[i] = filepath.Join(dir, name)
		}
		var sums Sums
		set, err := sums.Look(m, imported)
		if err != nil {
			t.Fatal(err)
		}
		m.Version = set.Version(m) // again is the same
		return set.Version(m)
	}
	a, b := folder(t, "words.dat", "h.py"), folder(t, "words.dat", "h.py")
	all := []string{version(a), version(a, "h.py"), version(b, "h.py", "gone.py")}
	if all[0] != version(b) || all[1] != version(b, "h.py") {
		t.Error("another folder makes another version")
	}
	write(t, filepath.Join(b, "h.py"), "another")
	all = append(all, version(b, "h.py"))
	write(t, filepath.Join(b, "words.dat"), "another")
	all = append(all, version(b), version(b, "h.py"))
	for i, v := range all {
		if !strings.HasPrefix(v, "0123456789ab.") || slices.Contains(all[:i], v) {
			t.Errorf("version %d is %q, of %q", i, v, all)
		}
	}
	if v := (Set{}).Version(seed.Manifest{Version: "0123456789ab"}); v != "0123456789ab" {
		t.Errorf("nothing used gives %q", v)
	}
}

func TestChanged(t *testing.T) {
	dir := folder(t, "a", "b")
	m := seed.Manifest{File: filepath.Join(dir, "s.py")}
	look := func(names ...string) Set {
		t.Helper()
		var paths []string
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
		var sums Sums
		set, err := sums.Look(m, paths)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	before, began := look("a", "b"), time.Now().Add(time.Hour)
	if name := look("a", "b").Changed(before); name != "" {
		t.Errorf("%s has changed", name)
	}
	if name := look("a").Changed(before); name != "b" {
		t.Errorf("%q has changed, of what is used no more", name)
	}
	write(t, filepath.Join(dir, "b"), "another")
	for _, got := range []string{look("a", "b").Changed(before), look("a", "b").ChangedSince(before, began), look("a", "b").ChangedSince(look("a"), time.Now().Add(-time.Hour))} {
		if got != "b" {
			t.Errorf("%q has changed, want b", got)
		}
	}
	if name := look("a", "b").ChangedSince(look("a"), began); name != "" {
		t.Errorf("%s has changed, and is older than the load", name)
	}
}
