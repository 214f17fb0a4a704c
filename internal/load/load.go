// Package load reads seeds from disk: single files, folders, and what changes
// in them.
package load

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

	"github.com/recap/pumpkin/internal/uses"
	"github.com/recap/pumpkin/seed"
)

// maxHeader is how much of a file is looked at for its declaration, in bytes.
const maxHeader = 256 << 10

// ErrNoSeed is a file that declares no seed.
var ErrNoSeed = errors.New("declares no seed")

// File reads the manifest of a seed file. Its error is [ErrNoSeed] if the file
// has no declaration. The version covers what pmk-uses names; if that cannot be found, the manifest
// is there beside the error.
func File(path string) (seed.Manifest, error) { return readFile(path, new(uses.Sums)) }

// readFile is File with the sums of files that were read before.
func readFile(path string, sums *uses.Sums) (seed.Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return seed.Manifest{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return seed.Manifest{}, err
	}
	if !info.Mode().IsRegular() {
		return seed.Manifest{}, fmt.Errorf("%s is not a regular file", path)
	}
	head, err := io.ReadAll(io.LimitReader(file, maxHeader))
	if err != nil {
		return seed.Manifest{}, err
	}
	m, found, err := seed.Parse(path, head)
	if err != nil {
		return seed.Manifest{}, err
	}
	if !found {
		return seed.Manifest{}, fmt.Errorf(`%s %w: its leading comment needs a line such as "# pmk: String:RAW -> String:CLEAN"`, path, ErrNoSeed)
	}
	sum := sha256.New()
	sum.Write(head)
	if _, err := io.Copy(sum, file); err != nil {
		return seed.Manifest{}, err
	}
	m.File, m.Version = path, hex.EncodeToString(sum.Sum(nil)[:6])
	used, err := sums.Look(m, nil)
	if err != nil {
		return m, &seed.Error{File: path, Line: m.UsesLine, Msg: "pmk-uses: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	m.Version = used.Version(m)
	return m, nil
}

// Folder reads the seed files of a folder, by name; folders in it are not
// looked into. Files without a declaration are passed over. The errors are
// those of files that declare a seed and do it wrongly.
func Folder(dir string) (ms []seed.Manifest, errs []error) { return readFolder(dir, File) }

// readFolder is Folder with what reads a file.
func readFolder(dir string, read func(path string) (seed.Manifest, error)) (ms []seed.Manifest, errs []error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, []error{err}
	}
	for _, e := range entries {
		if e.IsDir() || !Eligible(e.Name()) {
			continue
		}
		m, err := read(filepath.Join(dir, e.Name()))
		switch {
		case errors.Is(err, ErrNoSeed):
		case err != nil:
			errs = append(errs, err)
		default:
			ms = append(ms, m)
		}
	}
	return ms, errs
}

// notSeeds are the endings of files that lie beside seeds.
var notSeeds = [...]string{".pkt", ".pyc", ".md", ".txt", ".json", ".csv", ".toml", ".yaml", ".yml", ".bak", ".swp", ".tmp", ".orig", ".rej"}

// Eligible tells whether a file of a folder may be a seed by its name: hidden
// files, what editors leave behind, data and prose are not.
func Eligible(name string) bool {
	return !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#") && !strings.HasSuffix(name, "~") &&
		!slices.Contains(notSeeds[:], strings.ToLower(filepath.Ext(name)))
}
