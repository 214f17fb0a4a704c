package lossy

import (
	"maps"
	"slices"
	"syscall"
	"time"
)

// Lookup finds a name in a folder.
func (f *FS) Lookup(dir *Inode, name string) (n *Inode, errno syscall.Errno) {
	errno = f.do(func() syscall.Errno {
		if n = dir.names[name]; n == nil {
			return syscall.ENOENT
		}
		return 0
	})
	return n, errno
}

// A Name is one entry of a folder.
type Name struct {
	Name  string
	Inode *Inode
}

// Names lists a folder, sorted.
func (f *FS) Names(dir *Inode) (list []Name, errno syscall.Errno) {
	errno = f.do(func() syscall.Errno {
		if !dir.dir {
			return syscall.ENOTDIR
		}
		for _, name := range slices.Sorted(maps.Keys(dir.names)) {
			list = append(list, Name{name, dir.names[name]})
		}
		return 0
	})
	return list, errno
}

// Make makes an empty file or folder.
func (f *FS) Make(dir *Inode, name string, folder bool, mode uint32) (n *Inode, errno syscall.Errno) {
	errno = f.do(func() syscall.Errno {
		if dir.names[name] != nil {
			return syscall.EEXIST
		}
		n = f.disk.inode(folder, mode&0o7777)
		f.disk.enter(set{dir, name, n}, nil)
		return 0
	})
	return n, errno
}

// Remove takes a name away: a file's, or with folder that of an empty folder.
func (f *FS) Remove(dir *Inode, name string, folder bool) syscall.Errno {
	return f.do(func() syscall.Errno {
		n := dir.names[name]
		switch {
		case n == nil:
			return syscall.ENOENT
		case folder && !n.dir:
			return syscall.ENOTDIR
		case !folder && n.dir:
			return syscall.EISDIR
		case len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		f.disk.enter(set{dir, name, nil}, n)
		return 0
	})
}

// Rename moves a name, over another unless keep says so.
func (f *FS) Rename(from *Inode, name string, to *Inode, newName string, keep bool) syscall.Errno {
	return f.do(func() syscall.Errno {
		n, over := from.names[name], to.names[newName]
		switch {
		case n == nil:
			return syscall.ENOENT
		case over == n:
			return 0
		case over == nil:
		case keep:
			return syscall.EEXIST
		case n.dir && !over.dir:
			return syscall.ENOTDIR
		case !n.dir && over.dir:
			return syscall.EISDIR
		case len(over.names) > 0:
			return syscall.ENOTEMPTY
		}
		add, gone := set{to, newName, n}, set{from, name, nil}
		if f.disk.rule == Portable && from != to {
			f.disk.enter(add, over)
			f.disk.enter(gone, n)
			return 0
		}
		f.disk.enter(add, over, gone)
		return 0
	})
}

// enter makes changes of names now and notes them in the journal, as one.
// gone is an inode that loses a name.
func (d *Disk) enter(first set, gone *Inode, more ...set) {
	e := &entry{sets: append([]set{first}, more...), gone: gone}
	for _, s := range e.sets {
		put(s.dir.names, s)
		s.dir.mtime = time.Now()
	}
	d.journal = append(d.journal, e)
}
