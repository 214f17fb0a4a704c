package inject

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An ownDir is one of the folder's own folders, which is used by its descriptor:
// whoever may write to the rx folder could put a link to another folder in its
// place.
type ownDir struct {
	path string
	from *os.File // the rx folder
	dir  *os.File
}

// own opens one of the folder's own folders, which is made when it is missing. It is
// no link, and belongs to the node's user.
func (f *Folder) own(sub string) (*ownDir, error) {
	o := &ownDir{path: f.path(sub)}
	var err error
	if o.from, err = os.Open(f.cfg.Dir); err != nil {
		return nil, err
	}
	if err = o.open(sub); err == nil {
		err = o.check(f.user)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *ownDir) open(sub string) error {
	at := int(o.from.Fd())
	if err := unix.Mkdirat(at, sub, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make %s: %w", o.path, err)
	}
	fd, err := unix.Openat(at, sub, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%s is not a folder but a link or a file: remove it", o.path)
	case err != nil:
		return fmt.Errorf("open %s: %w", o.path, err)
	}
	o.dir = os.NewFile(uintptr(fd), o.path)
	return nil
}

// check refuses a folder of another user, who could do anything to what is moved there.
func (o *ownDir) check(user uint32) error {
	owner, err := ownerOf(o.dir)
	if err == nil && owner != user {
		err = fmt.Errorf("%s belongs to user %d, and the node's files here to user %d: move it away, or change its owner", o.path, owner, user)
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

// take moves a file of the rx folder to the name to.
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
