package lossy

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// mount makes the file system appear at dir. The kernel writes through, so
// every write is known here before the program goes on. Locks, and mapping
// memory for reading, are the kernel's.
func mount(f *FS, dir string) (*fuse.Server, error) {
	second := time.Second
	return fs.Mount(dir, &node{on: f, is: f.Root()}, &fs.Options{
		EntryTimeout: &second, AttrTimeout: &second, NullPermissions: true,
		MountOptions: fuse.MountOptions{
			FsName: "lossy", Name: "lossy", MaxWrite: 1 << 20, DisableXAttrs: true,
			DirectMount: os.Getuid() == 0,
		},
	})
}

// A node is an inode as the kernel knows it.
type node struct {
	fs.Inode
	on *FS
	is *Inode
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil) // of folders as well
	_ fs.NodeAllocater = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

// A handle is an open file.
type handle struct {
	sync bool // every write is synced
}

func opened(flags uint32) *handle {
	return &handle{sync: flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0}
}

// child makes the kernel's node of an inode below n.
func (n *node) child(ctx context.Context, is *Inode, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	st, errno := n.on.Stat(is)
	if errno != 0 {
		return nil, errno
	}
	fill(st, &out.Attr)
	return n.NewInode(ctx, &node{on: n.on, is: is}, fs.StableAttr{Mode: kind(st), Ino: st.ID}), 0
}

func kind(st Stat) uint32 {
	if st.Dir {
		return syscall.S_IFDIR
	}
	return syscall.S_IFREG
}

func fill(st Stat, out *fuse.Attr) {
	out.Ino, out.Size, out.Blksize, out.Nlink = st.ID, uint64(st.Size), pageSize, 1
	out.Blocks = (out.Size + 511) / 512
	out.Mode = kind(st) | st.Mode
	out.Uid, out.Gid = uint32(os.Getuid()), uint32(os.Getgid())
	out.SetTimes(&st.Mtime, &st.Mtime, &st.Mtime)
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	is, errno := n.on.Lookup(n.is, name)
	if errno != 0 {
		return nil, errno
	}
	return n.child(ctx, is, out)
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	names, errno := n.on.Names(n.is)
	if errno != 0 {
		return nil, errno
	}
	var list []fuse.DirEntry
	for _, name := range names {
		st, errno := n.on.Stat(name.Inode)
		if errno != 0 {
			return nil, errno
		}
		list = append(list, fuse.DirEntry{Name: name.Name, Ino: st.ID, Mode: kind(st)})
	}
	return fs.NewListDirStream(list), 0
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	is, errno := n.on.Make(n.is, name, false, mode)
	if errno == syscall.EEXIST && flags&syscall.O_EXCL == 0 {
		is, errno = n.on.Lookup(n.is, name)
	}
	if errno == 0 && flags&syscall.O_TRUNC != 0 {
		errno = n.on.Truncate(is, 0)
	}
	if errno != 0 {
		return nil, nil, 0, errno
	}
	inode, errno := n.child(ctx, is, out)
	return inode, opened(flags), 0, errno
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	is, errno := n.on.Make(n.is, name, true, mode)
	if errno != 0 {
		return nil, errno
	}
	return n.child(ctx, is, out)
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.on.Remove(n.is, name, false)
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.on.Remove(n.is, name, true)
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	const noReplace = 1 // RENAME_NOREPLACE
	if flags&^noReplace != 0 {
		return syscall.EINVAL
	}
	return n.on.Rename(n.is, name, to.(*node).is, newName, flags&noReplace != 0)
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		if errno := n.on.Truncate(n.is, 0); errno != 0 {
			return nil, 0, errno
		}
	}
	_, errno := n.on.Stat(n.is) // no power, no file
	return opened(flags), 0, errno
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	count, errno := n.on.Read(n.is, dest, off)
	if errno != 0 {
		return nil, errno
	}
	return fuse.ReadResultData(dest[:count]), 0
}

func (n *node) Write(_ context.Context, fh fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	h, ok := fh.(*handle)
	if errno := n.on.Write(n.is, data, off, ok && h.sync); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return n.on.Sync(n.is) }

func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	switch mode {
	case 0:
		return n.on.Allocate(n.is, int64(off+size))
	case 1: // FALLOC_FL_KEEP_SIZE: there is room
		return 0
	}
	return syscall.EOPNOTSUPP
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	st, errno := n.on.Stat(n.is)
	fill(st, &out.Attr)
	return errno
}

func (n *node) Setattr(ctx context.Context, fh fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if mode, ok := in.GetMode(); ok {
		if errno := n.on.Chmod(n.is, mode); errno != 0 {
			return errno
		}
	}
	if size, ok := in.GetSize(); ok {
		if errno := n.on.Truncate(n.is, int64(size)); errno != 0 {
			return errno
		}
	}
	if mtime, ok := in.GetMTime(); ok {
		if errno := n.on.Chtimes(n.is, mtime); errno != 0 {
			return errno
		}
	}
	return n.Getattr(ctx, fh, out)
}

// Statfs says that there is much room.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const blocks = 64 << 30 / pageSize
	*out = fuse.StatfsOut{
		Bsize: pageSize, Frsize: pageSize, NameLen: 255,
		Blocks: blocks, Bfree: blocks, Bavail: blocks, Files: 1 << 20, Ffree: 1 << 20,
	}
	return 0
}
