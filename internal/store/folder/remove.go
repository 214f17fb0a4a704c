package folder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// gone is how the names of folders begin that are being removed. [List] does
// not list them.
const gone = ".gone-"

// Remove ends the folder with all that is in it, and gives it back. It is gone
// as a whole: at no moment could another node take the rest of it.
func (f *Folder) Remove() error {
	parent := filepath.Dir(f.Dir)
	err := f.claim.Release() // it goes by the folder's name
	var aside string
	if err == nil {
		aside, err = os.MkdirTemp(parent, gone)
	}
	if err == nil {
		err = os.Rename(f.Dir, filepath.Join(aside, filepath.Base(f.Dir)))
	}
	if err == nil {
		err = SyncDir(parent)
	}
	if err == nil {
		err = os.RemoveAll(aside)
	}
	if err = errors.Join(err, f.unlock()); err != nil {
		return fmt.Errorf("remove the data folder %s: %w", f.Dir, err)
	}
	return nil
}

// Retire gives the folder back under another name, which no node takes by
// itself, and returns that.
func (f *Folder) Retire() (string, error) {
	name := f.Dir + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s.damaged-%d", f.Dir, n)
	}
	err := f.claim.Release() // it goes by the folder's name
	if err == nil {
		err = os.Rename(f.Dir, name)
	}
	if err == nil {
		err = SyncDir(filepath.Dir(name))
	}
	if err = errors.Join(err, f.unlock()); err != nil {
		return "", fmt.Errorf("rename the data folder %s: %w", f.Dir, err)
	}
	return name, nil
}

// Sweep removes what an earlier [Folder.Remove] has begun to and was cut short.
func Sweep(data, group string) error {
	dir := filepath.Join(data, group)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), gone) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
