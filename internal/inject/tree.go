package inject

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A tree is a folder with its sub-folders.
type tree struct {
	cfg  Config
	kind string // what people know it as
	user uint32 // that files belong to which the node makes in the folder
}

// openDir opens a folder in another, and follows no link to it.
func openDir(in *os.File, name string) (*os.File, error) {
	at := filepath.Join(in.Name(), name)
	fd, err := unix.Openat(int(in.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: at, Err: err}
	}
	return os.NewFile(uintptr(fd), at), nil
}

// openBelow opens a sub-folder of the folder, "" for that itself. Whoever may write there
// could have put a link in the place of any folder on the way: none is followed.
func (f *tree) openBelow(sub string) (*os.File, error) {
	dir, err := os.Open(f.cfg.Dir)
	if err != nil || sub == "" {
		return dir, err
	}
	for name := range strings.SplitSeq(sub, "/") {
		next, err := openDir(dir, name)
		dir.Close() // only read
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// away tells whether, by this error, something is not where it was: it is gone, or a link
// or a file has taken the place of a folder.
func away(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// folderOf is the sub-folder that a file lies in, "" for the folder itself.
func folderOf(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// open opens a file of the folder for reading.
func (f *tree) open(name string) (*os.File, error) {
	// Without O_NONBLOCK a pipe that was put there meanwhile would hold us.
	const how = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	sub := folderOf(name)
	if sub == "" {
		return os.OpenFile(f.path(name), how, 0)
	}
	dir, err := f.openBelow(sub)
	if err != nil {
		return nil, err
	}
	defer dir.Close() // only read
	fd, err := unix.Openat(int(dir.Fd()), path.Base(name), how, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.path(name), Err: err}
	}
	return os.NewFile(uintptr(fd), f.path(name)), nil
}

// path is the whole path of a file of the folder.
func (f *tree) path(name string) string { return filepath.Join(f.cfg.Dir, name) }

// Dir is the folder's absolute path.
func (f *tree) Dir() string { return f.cfg.Dir }

// checkList says why the folder cannot be listed.
func (f *tree) checkList() error {
	d, err := os.Open(f.cfg.Dir)
	if err == nil {
		_, err = d.Readdirnames(1)
		d.Close() // only read
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("the %s %s cannot be listed: %w", f.kind, f.cfg.Dir, reason(err))
	}
	return nil
}
