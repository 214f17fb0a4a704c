package key

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFile is how long a key's file may be, comments included.
const maxFile = 64 << 10

// Read reads the key in the file at path. An error names the file, what is wrong
// with it and what to do.
func Read(path string) (k Key, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Key{}, fmt.Errorf("the key's file %s: %w; make one with: pmk key new > %s", path, cause(err), path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("the key's file %s: %w; let this user read it, or name another", path, cause(err))
	}
	defer f.Close() // it was only read
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return Key{}, fmt.Errorf("the key's file %s is a folder; name the file in it, or make one with: pmk key new > lan.key", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Key{}, fmt.Errorf("the key's file %s: %w", path, cause(err))
	}
	if len(text) > maxFile {
		return Key{}, fmt.Errorf("the key's file %s is longer than %d bytes; expected one line and comments, as pmk key new prints them", path, maxFile)
	}
	k, err = Parse(string(text))
	switch {
	case errors.Is(err, ErrNone):
		return Key{}, fmt.Errorf("the key's file %s: %w in it; make one with: pmk key new > %s", path, err, path)
	case err != nil:
		return Key{}, fmt.Errorf("the key's file %s: %w (pmk key new makes another key, for all nodes)", path, err)
	}
	return k, nil
}

// Exposed warns, with what to do, that other users of this machine can read or
// change the key in the file at path; "" is no warning. What cannot be looked at,
// or is no file, is for [Read] to tell.
func Exposed(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o066 == 0 {
		return ""
	}
	return fmt.Sprintf("other users of this machine can read or change the key in %s (mode %04o); keep it to yourself with: chmod 600 %s", path, info.Mode().Perm(), path)
}

// cause is err without the operation and the path, which the caller names.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
