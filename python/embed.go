// Package python carries the Python side of Pumpkin: the library that runs a
// Python seed in a long-lived worker, and that seed files import. It needs
// nothing but Python 3.8 or newer and its standard library.
//
// A program that uses it writes [Library] to a folder, which may be kept for
// as long as [Hash] stays the same, and starts workers with
//
//	python3 <folder>/pumpkin/__main__.py
//
// that speak the worker protocol of internal/runner/worker.
package python

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
)

// A folder's name would leave out the files that begin with '_'.
//
//go:embed pumpkin/*.py
var library embed.FS

// Main is the file of [Library] that python3 is given to start a worker.
const Main = "pumpkin/__main__.py"

// Library is the folder that holds the Python package pumpkin. It is safe for
// concurrent use.
func Library() fs.FS { return library }

// Hash names what [Library] holds, as 32 hexadecimal digits: two programs with
// the same library give the same. It reads all of the library.
func Hash() string {
	sum := sha256.New()
	err := fs.WalkDir(library, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := library.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", path, len(data))
		sum.Write(data) // never fails, says hash.Hash
		return nil
	})
	if err != nil {
		panic(err) // the files are in the program
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
