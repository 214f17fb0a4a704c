package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/hold"
)

// folderPrefix begins the names of workers' folders in the temporary folder. What follows
// names the machine, since the locks of others may not be seen there.
const folderPrefix = "pmk-work-"

// Folder makes a folder for what a node needs while it runs. Its file is open until
// remove is called, and is the lock that keeps [Sweep] from it.
func Folder() (dir string, remove func() error, err error) {
	file, err := newFolder()
	if err != nil {
		return "", nil, err
	}
	return file.Name(), func() error { return errors.Join(os.RemoveAll(file.Name()), file.Close()) }, nil
}

// newFolder makes the folder of a worker. The file is its lock, which ends with
// the node, however it ends, and tells [Sweep] that the folder is in use.
func newFolder() (*os.File, error) {
	for {
		dir, err := os.MkdirTemp("", folderPrefix+hold.Machine()+"-")
		if err != nil {
			return nil, fmt.Errorf("%w; set TMPDIR to a folder that can be written", err)
		}
		file, err := os.Open(dir)
		if err == nil {
			lock(file, 0) // where there are no locks nothing is swept either
			if _, err = os.Lstat(dir); err == nil {
				return file, nil
			}
			file.Close() // only opened
		}
		if !errors.Is(err, os.ErrNotExist) { // else it was swept before the lock
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
}

// Sweep removes the folders of workers whose node has gone without doing so, on this machine.
func Sweep() error {
	var failed error
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, dir := range dirs {
		machine, _, named := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folderPrefix), "-")
		if named && machine != hold.Machine() {
			continue
		}
		file, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // another user's, or gone
		}
		if lock(file, unix.LOCK_NB) == nil {
			failed = errors.Join(failed, os.RemoveAll(dir))
		}
		file.Close() // only opened
	}
	return errors.Join(err, failed)
}

func lock(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|how); err != unix.EINTR {
			return err
		}
	}
}
