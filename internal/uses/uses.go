// Package uses tells what a seed uses beside its file: what its line pmk-uses names,
// and what it has imported from its own folder. The seed's version covers both.
package uses

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/seed"
)

// MaxFiles is how many files a seed may use.
const MaxFiles = 10000

// Files lists what the line pmk-uses of a seed names, as paths: its files, and the folders in which
// a file that is added may be one more. Folders are gone through, without what is hidden and
// __pycache__. The error is of a name that stands for no file, or of too many of them.
func Files(m seed.Manifest) (files, folders []string, err error) {
	if len(m.Uses) == 0 {
		return nil, nil, nil
	}
	root := filepath.Dir(m.File)
	fsys := os.DirFS(root)
	var failed error
	for _, name := range m.Uses {
		found, err := fs.Glob(fsys, name)
		if err != nil {
			return nil, nil, err // seed.Parse has checked the pattern
		}
		if folder := folderOf(fsys, name); !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
		before := len(files)
		for _, f := range found {
			if files, folders, err = below(fsys, f, files, folders); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		if len(files) == before {
			failed = errors.Join(failed, missing(fsys, root, name))
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	for _, list := range [][]string{files, folders} {
		for i, name := range list {
			list[i] = filepath.Join(root, filepath.FromSlash(name))
		}
	}
	return files, folders, failed
}

// below appends the files of name, which is one or a folder, and the folders.
func below(fsys fs.FS, name string, files, folders []string) (_, _ []string, err error) {
	err = fs.WalkDir(fsys, name, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case at != name && (strings.HasPrefix(d.Name(), ".") || d.Name() == "__pycache__"):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			folders = append(folders, at)
			return nil
		}
		if info, err := fs.Stat(fsys, at); err != nil || !info.Mode().IsRegular() {
			return nil //nolint:nilerr // a link that leads nowhere, a socket
		}
		if len(files) == MaxFiles {
			return fmt.Errorf("a seed may use at most %d files", MaxFiles)
		}
		files = append(files, at)
		return nil
	})
	return files, folders, err
}

// folderOf is the folder that a file of that name is added to, as far as it is there.
func folderOf(fsys fs.FS, name string) string {
	at := path.Dir(name)
	for at != "." {
		if info, err := fs.Stat(fsys, at); err == nil && info.IsDir() && !strings.ContainsAny(at, `*?[\`) {
			break
		}
		at = path.Dir(at)
	}
	return at
}

// missing is the error of a name that stands for no file.
func missing(fsys fs.FS, root, name string) error {
	entries, _ := fs.ReadDir(fsys, path.Dir(name)) // without it nothing is near
	var there []string
	for _, e := range entries {
		there = append(there, path.Join(path.Dir(name), e.Name()))
	}
	if near, ok := seed.Nearest(name, there); ok && near != name {
		return fmt.Errorf("no file is called %q in %s: did you mean %q?", name, root, near)
	}
	return fmt.Errorf("no file is called %q in %s; expected names of files or folders beside the seed", name, root)
}

// A file is one that a seed uses, as it was at one moment.
type file struct {
	name    string // from the seed's folder
	sum     string // of its bytes; "" of one that cannot be read
	changed time.Time
}

// A Set is what a seed uses, as it was at one moment. The zero value is nothing.
type Set []file

// Version is the version of the seed m whose file has m.Version, and which uses this set.
func (s Set) Version(m seed.Manifest) string {
	own, _, _ := strings.Cut(m.Version, seed.VersionSeparator)
	if len(s) == 0 || own == "" {
		return own
	}
	sum := sha256.New()
	for _, f := range s {
		fmt.Fprintf(sum, "%q %s\n", f.name, f.sum) // never fails, says hash.Hash
	}
	return own + seed.VersionSeparator + hex.EncodeToString(sum.Sum(nil)[:4])
}

// Changed names a file that is another than in before, or in one of them alone; "" if there is
// none.
func (s Set) Changed(before Set) string {
	for _, pair := range [][2]Set{{s, before}, {before, s}} {
		for _, f := range pair[0] {
			i, ok := pair[1].find(f.name)
			if !ok || pair[1][i].sum != f.sum {
				return f.name
			}
		}
	}
	return ""
}

// ChangedSince names a file that is another than in before, or not in it and younger than since; ""
// if there is none.
func (s Set) ChangedSince(before Set, since time.Time) string {
	for _, f := range s {
		if i, ok := before.find(f.name); ok && before[i].sum != f.sum || !ok && !f.changed.Before(since) {
			return f.name
		}
	}
	return ""
}

func (s Set) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s, name, func(f file, name string) int { return strings.Compare(f.name, name) })
}

// Sums reads files, each again only if it has changed. The zero value has read none. It is safe for
// concurrent use.
type Sums struct {
	mu    sync.Mutex
	known map[string]known
}

type known struct {
	info fs.FileInfo
	sum  string
}

// young is the age of a file below which it may have been changed again without that its time
// tells.
const young = 2 * time.Second

// Look is what the seed m uses now: what its header names, and the paths that it has imported.
func (s *Sums) Look(m seed.Manifest, imported []string) (Set, error) {
	if len(m.Uses) == 0 && len(imported) == 0 {
		return nil, nil
	}
	var err error
	if m.File, err = filepath.Abs(m.File); err != nil {
		return nil, err
	}
	files, _, err := Files(m)
	if err != nil {
		return nil, err
	}
	root := filepath.Dir(m.File)
	var out Set
	for _, at := range append(files, imported...) {
		name, err := filepath.Rel(root, at)
		if err != nil {
			name = at // it is relative to another folder
		}
		sum, changed := s.sum(at)
		out = append(out, file{filepath.ToSlash(name), sum, changed})
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b file) bool { return a.name == b.name }), nil
}

// sum is the hash of a file, and when it was changed last; "" if it cannot be read.
func (s *Sums) sum(at string) (string, time.Time) {
	in, err := os.Open(at)
	if err != nil {
		return "", time.Time{}
	}
	defer in.Close() // only read
	info, err := in.Stat()
	if err != nil {
		return "", time.Time{}
	}
	s.mu.Lock()
	k, ok := s.known[at]
	s.mu.Unlock()
	if ok && os.SameFile(k.info, info) && k.info.Size() == info.Size() && k.info.ModTime().Equal(info.ModTime()) {
		return k.sum, info.ModTime()
	}
	h := sha256.New()
	if _, err := io.Copy(h, in); err != nil {
		return "", info.ModTime()
	}
	sum := hex.EncodeToString(h.Sum(nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(info.ModTime()) > young {
		if s.known == nil {
			s.known = map[string]known{}
		}
		s.known[at] = known{info, sum}
	}
	return sum, info.ModTime()
}
