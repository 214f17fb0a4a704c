package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system that the storage engine writes through. Reads and
// removals are not held back.
func (d *Disk) FS(inner vfs.FS) vfs.FS { return &fileSystem{FS: inner, disk: d} }

type fileSystem struct {
	vfs.FS
	disk *Disk
}

// try tries for as long as the Disk is open; the engine has no contexts.
func (f *fileSystem) try(op func() error) error {
	return f.disk.engine(f.disk.Try(context.Background(), op))
}

// open wraps the file that op opens to be written.
func (f *fileSystem) open(name string, op func() (vfs.File, error)) (vfs.File, error) {
	var opened vfs.File
	err := f.try(func() (err error) {
		opened, err = op()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{File: opened, disk: f.disk, remade: remade(name)}, nil
}

func (f *fileSystem) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(name, func() (vfs.File, error) { return f.FS.Create(name, category) })
}

func (f *fileSystem) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

func (f *fileSystem) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	renamed := false
	return f.open(newname, func() (vfs.File, error) {
		if renamed {
			return f.FS.OpenReadWrite(newname, category)
		}
		opened, err := f.FS.ReuseForWrite(oldname, newname, category)
		if err != nil {
			// It may have been renamed before it could not be opened.
			_, statErr := f.FS.Stat(oldname)
			renamed = errors.Is(statErr, fs.ErrNotExist)
		}
		return opened, err
	})
}

// OpenDir opens a folder to be synced.
func (f *fileSystem) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &file{File: dir, disk: f.disk}, nil
}

func (f *fileSystem) Link(oldname, newname string) error {
	return f.try(func() error { return f.FS.Link(oldname, newname) })
}

func (f *fileSystem) Rename(oldname, newname string) error {
	return f.try(func() error { return f.FS.Rename(oldname, newname) })
}

func (f *fileSystem) MkdirAll(dir string, perm os.FileMode) error {
	return f.try(func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f *fileSystem) Lock(name string) (lock io.Closer, err error) {
	err = f.try(func() (err error) {
		lock, err = f.FS.Lock(name)
		return err
	})
	return lock, err
}

func (f *fileSystem) Remove(name string) error {
	if err := f.disk.fenced(); err != nil {
		return f.disk.engine(err)
	}
	err := f.FS.Remove(name)
	if err == nil {
		f.disk.freed()
	}
	return err
}

func (f *fileSystem) RemoveAll(name string) error {
	if err := f.disk.fenced(); err != nil {
		return f.disk.engine(err)
	}
	err := f.FS.RemoveAll(name)
	f.disk.freed()
	return err
}

func (f *fileSystem) Unwrap() vfs.FS { return f.FS }

// remade tells whether the engine makes a file anew when it cannot be written
// to its end: it does so with tables, which hold what the log holds as well, or
// other tables.
func remade(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".sst" || ext == ".blob"
}

// maxUnsynced is how much of what was written since its last sync is held in
// memory, for each file.
const maxUnsynced = 1 << 20

// A file is one that the engine writes. As the engine does, it expects that one
// goroutine at a time writes or syncs, except that several sync a folder.
type file struct {
	vfs.File
	disk   *Disk
	remade bool

	size     int64  // what was written
	unsynced []byte // of that the end, which was not synced yet
	more     bool   // it is more than unsynced has
}

func (f *file) Write(p []byte) (n int, err error) {
	f.note(p)
	err = f.disk.try(context.Background(), ofFile, func() error {
		more, err := f.File.Write(p[n:])
		n += more
		return err
	})
	f.size += int64(n)
	return n, f.disk.engine(err)
}

// note holds what is to be written, before it is: the inner file may change it.
func (f *file) note(p []byte) {
	switch {
	case f.remade || f.more:
	case len(f.unsynced)+len(p) > maxUnsynced:
		f.unsynced, f.more = nil, true
	default:
		f.unsynced = append(f.unsynced, p...)
	}
}

// WriteAt is for files that are synced by other means.
func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.disk.try(context.Background(), ofFile, func() error {
		more, err := f.File.WriteAt(p[n:], off+int64(n))
		n += more
		return err
	})
	return n, f.disk.engine(err)
}

func (f *file) Sync() error     { return f.sync(f.File.Sync) }
func (f *file) SyncData() error { return f.sync(f.File.SyncData) }

func (f *file) SyncTo(length int64) (full bool, err error) {
	if err := f.disk.fenced(); err != nil {
		return false, f.disk.engine(err)
	}
	op := func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	}
	if err := op(); err != nil {
		return full, f.disk.engine(f.again(err, op))
	}
	if full {
		f.synced()
	}
	return full, nil
}

// Preallocate only helps: what there is no room for is found out by Write.
func (f *file) Preallocate(off, length int64) error {
	err := f.File.Preallocate(off, length)
	if err != nil && ofDisk(err) {
		return nil
	}
	return err
}

func (f *file) sync(op func() error) error {
	if err := f.disk.fenced(); err != nil {
		return f.disk.engine(err)
	}
	if err := op(); err != nil {
		if err := f.again(err, op); err != nil {
			return f.disk.engine(err)
		}
	}
	f.synced()
	return nil
}

func (f *file) synced() {
	if len(f.unsynced) > 0 || f.more { // never in a folder
		f.unsynced, f.more = f.unsynced[:0], false
	}
}

// again syncs a file after that failed.
func (f *file) again(err error, sync func() error) error {
	switch {
	case !ofFile(err):
		return err
	case f.remade:
		return f.fail(err)
	case f.more:
		return f.disk.hold(err)
	}
	return f.disk.wait(context.Background(), ofFile, err, func() error {
		if len(f.unsynced) > 0 {
			// The inner file may change what it is given.
			if _, err := f.File.WriteAt(bytes.Clone(f.unsynced), f.size-int64(len(f.unsynced))); err != nil {
				return err
			}
		}
		return sync()
	})
}

// fail fails a file that is made anew, a while later: the engine tries at once.
func (f *file) fail(err error) error {
	f.disk.begin()
	defer f.disk.end()
	why := f.disk.Explain(err)
	if err := f.disk.pause(context.Background(), why); err != nil {
		return err
	}
	return why
}
