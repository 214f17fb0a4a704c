package inject

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// An ownDir is a folder in one of the folder's own folders, or that itself, which is
// used by its descriptor: whoever may write to the rx folder could put a link to another
// folder in its place.
type ownDir struct {
	path string
	from *os.File // where the files lie that are moved there
	dir  *os.File
}

// own opens the folder in one of the folder's own folders, .done or .bad, where files of
// a sub-folder move to. It is made when it is missing. It is no link, nor is any folder on
// the way, and they belong to the node's user. The error is errAway if the sub-folder is
// gone.
func (f *tree) own(name, sub string) (*ownDir, error) {
	o := &ownDir{path: f.path(path.Join(name, sub))}
	var err error
	if o.from, err = f.openBelow(sub); err != nil {
		if sub != "" && away(err) {
			err = errAway
		}
		return nil, err
	}
	if o.dir, err = f.openBelow(""); err == nil {
		err = o.enter(path.Join(name, sub), f.user)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// enter goes down to that folder.
func (o *ownDir) enter(sub string, user uint32) error {
	for name := range strings.SplitSeq(sub, "/") {
		at := filepath.Join(o.dir.Name(), name)
		if err := unix.Mkdirat(int(o.dir.Fd()), name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make %s: %w", at, err)
		}
		next, err := openDir(o.dir, name)
		switch {
		case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
			return fmt.Errorf("%s is not a folder but a link or a file: remove it", at)
		case err != nil:
			return err
		}
		o.dir.Close() // only read
		o.dir = next
		if err := check(next, user); err != nil {
			return err
		}
	}
	return nil
}

// check refuses a folder of another user, who could do anything to what is moved there.
func check(dir *os.File, user uint32) error {
	owner, err := ownerOf(dir)
	if err == nil && owner != user {
		err = fmt.Errorf("%s belongs to user %d, and the node's files here to user %d: move it away, or change its owner", dir.Name(), owner, user)
	}
	return err
}

func (o *ownDir) close() {
	o.from.Close() // only read, as the other
	if o.dir != nil {
		o.dir.Close()
	}
}

// at is the path of a file in it, for people.
func (o *ownDir) at(name string) string { return filepath.Join(o.path, name) }

// write makes a file that is not there yet.
func (o *ownDir) write(name, text string) error {
	fd, err := unix.Openat(int(o.dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return &fs.PathError{Op: "create", Path: o.at(name), Err: err}
	}
	file := os.NewFile(uintptr(fd), o.at(name))
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, o.remove(name))
	}
	return nil
}

func (o *ownDir) remove(name string) error {
	if err := unix.Unlinkat(int(o.dir.Fd()), name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: o.at(name), Err: err}
	}
	return nil
}

// take moves a file to the name to.
func (o *ownDir) take(name, to string) error {
	if err := unix.Renameat(int(o.from.Fd()), name, int(o.dir.Fd()), to); err != nil {
		return &os.LinkError{Op: "rename", Old: name, New: o.at(to), Err: err}
	}
	return nil
}

// ownerOf is the user that a file belongs to.
func ownerOf(file *os.File) (uint32, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return 0, fmt.Errorf("look at %s: %w", file.Name(), err)
	}
	return st.Uid, nil
}
