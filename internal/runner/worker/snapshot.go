package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/seed"
)

// keptSnapshots is how many snapshots of a seed are kept, those of which a worker was
// started last: an old version may still finish what it has.
const keptSnapshots = 8

// Snapshot copies the seed's file into the folder dir, unless it is there, and returns
// the path of what is to run, so that an edit never changes a run that goes on. The
// folder is made if need be. Without a folder, or on a disk that runs no programs, it is the
// file itself. A file that is no longer of the manifest's version is an error: who
// watches it brings the new one.
func Snapshot(dir string, m seed.Manifest) (string, error) {
	if dir == "" || m.Version == "" {
		return m.File, nil
	}
	from, err := os.Open(m.File)
	if err != nil {
		return "", err
	}
	defer from.Close() // only read
	info, err := from.Stat()
	if err != nil {
		return "", err
	}
	m.Version, _, _ = strings.Cut(m.Version, seed.VersionSeparator) // that of the file alone
	path := filepath.Join(dir, string(m.Name)+"@"+m.Version, filepath.Base(m.File))
	mode := os.FileMode(0o600)
	if info.Mode()&0o111 != 0 {
		mode = 0o700
	}
	if err := copyVersion(path, from, mode, m); err != nil {
		return "", fmt.Errorf("a snapshot of the seed's file: %w", err)
	}
	if mode == 0o700 && unix.Access(path, unix.X_OK) != nil {
		return m.File, nil
	}
	return path, nil
}

// copyVersion makes path a copy of from, which has to be the manifest's version.
func copyVersion(path string, from io.Reader, mode os.FileMode, m seed.Manifest) error {
	folder := filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.Mode().Perm() == mode {
		return touch(folder) // it may be the oldest, and is about to run again
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	to, err := os.CreateTemp(folder, ".new-")
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, sum), from)
	err = errors.Join(err, to.Chmod(mode), to.Close())
	if err == nil && !strings.HasPrefix(hex.EncodeToString(sum.Sum(nil)), m.Version) {
		err = fmt.Errorf("%s was changed while it was loaded", m.File)
	}
	if err == nil {
		err = os.Rename(to.Name(), path)
	}
	if err != nil {
		os.Remove(to.Name()) // its own error says less
	}
	return err
}

func touch(folder string) error {
	now := time.Now()
	return os.Chtimes(folder, now, now)
}

// started notes that a worker of this version was started, and removes the oldest
// snapshots of the seed. That is not done before: of a file that was saved many times and
// never loaded, the version that runs would be the oldest.
func started(dir string, m seed.Manifest) error {
	m.Version, _, _ = strings.Cut(m.Version, seed.VersionSeparator) // that of the file alone
	folder := filepath.Join(dir, string(m.Name)+"@"+m.Version)
	if _, err := os.Stat(folder); dir == "" || m.Version == "" || err != nil {
		return nil // it runs where it is
	}
	if err := touch(folder); err != nil {
		return err
	}
	all, err := filepath.Glob(filepath.Join(dir, string(m.Name)+"@*"))
	if err != nil || len(all) <= keptSnapshots {
		return err
	}
	age := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(all, func(a, b string) int { return int(min(max(age(a)-age(b), -1), 1)) })
	for _, old := range all[:len(all)-keptSnapshots] {
		err = errors.Join(err, os.RemoveAll(old))
	}
	return err
}
