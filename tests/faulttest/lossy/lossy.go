// Package lossy is a file system that loses power: it forgets what was not
// synced. Tests keep a node's data folder on it, see [Start].
//
// What survives a [Disk.PowerOff] is drawn from a seed, within what the disk
// owed to whoever synced. Data and names are two things:
//
//   - Data. What a file held at its last fsync or fdatasync, or a write through
//     a descriptor with O_SYNC or O_DSYNC, is there. Of each page of 4 KiB that
//     was written since, the old content survives, or the new, or one between;
//     pages do so independently and in no order, so a write may be torn at any
//     page. A file that grew has its old size, the new, or one between, and
//     reads as zeros where a page of the new part did not make it, as with
//     ext4's data=writeback and holes on XFS. A page itself is never torn:
//     disks write a sector or do not.
//   - Names: creating, renaming, unlinking, making folders, and truncating, are
//     entries of a journal. How it is committed is the [Rule].
//
// It is crueller than ext4 in its default mode: there is no commit every five
// seconds, nothing that flushes a file that is renamed over another
// (auto_da_alloc), and no order between data and the journal, but for one: what
// was written after a truncation survives only with it.
package lossy

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// A Rule says which names survive a loss of power.
type Rule uint8

const (
	// Journalled is how ext4 and XFS do it: one journal in order for the whole
	// file system, of which some beginning survives. Syncing a file or a folder
	// commits the journal up to the last entry that concerns it; so a new file
	// that was synced has its name, while a rename of a file that was synced
	// before may be lost.
	Journalled Rule = iota
	// Portable is the least that POSIX promises: only syncing a folder keeps
	// the names in it, each folder has a journal of its own, and a rename from
	// one to another may leave the file in both, or in neither.
	Portable
)

// A Disk is what the file system keeps. It is safe for concurrent use.
type Disk struct {
	mu      sync.Mutex
	rule    Rule
	rand    *rand.Rand
	power   int // counts the times that it went off
	root    *Inode
	journal []*entry
	last    uint64 // the highest number of an inode
}

// NewDisk is an empty disk. The seed decides what survives.
func NewDisk(rule Rule, seed uint64) *Disk {
	d := &Disk{rule: rule, rand: rand.New(rand.NewPCG(seed, 1))}
	d.root = d.inode(true, 0o755)
	return d
}

// FS is the file system until the next loss of power; after it everything on
// it fails with EIO.
func (d *Disk) FS() *FS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &FS{disk: d, power: d.power, root: d.root}
}

// An FS is the disk between two losses of power. It is safe for concurrent
// use.
type FS struct {
	disk  *Disk
	power int
	root  *Inode
}

// Root is the topmost folder.
func (f *FS) Root() *Inode { return f.root }

// do runs op while there is power.
func (f *FS) do(op func() syscall.Errno) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.power != f.power {
		return syscall.EIO
	}
	return op()
}

// An Inode is a file or a folder. All of it is guarded by its disk's lock.
type Inode struct {
	id    uint64
	dir   bool
	mode  uint32
	mtime time.Time

	// now is what programs see, kept what a loss of power leaves for sure.
	now, kept       content
	dirty           map[int]between // pages of now that kept does not have
	sizeBetween     int64           // one that the file had since it was synced
	cuts            int             // truncations in the journal
	names, keptName map[string]*Inode
}

func (d *Disk) inode(dir bool, mode uint32) *Inode {
	d.last++
	n := &Inode{id: d.last, dir: dir, mode: mode, mtime: time.Now()}
	if dir {
		n.names, n.keptName = map[string]*Inode{}, map[string]*Inode{}
	} else {
		n.dirty = map[int]between{}
	}
	return n
}

// A Stat is what is known of an inode.
type Stat struct {
	ID    uint64
	Dir   bool
	Mode  uint32 // permissions
	Size  int64
	Mtime time.Time
}

// Stat looks at n.
func (f *FS) Stat(n *Inode) (st Stat, errno syscall.Errno) {
	errno = f.do(func() syscall.Errno {
		st = Stat{ID: n.id, Dir: n.dir, Mode: n.mode, Size: n.now.size, Mtime: n.mtime}
		return 0
	})
	return st, errno
}

// Chmod sets the permissions. Like times they are not part of what is lost.
func (f *FS) Chmod(n *Inode, mode uint32) syscall.Errno {
	return f.do(func() syscall.Errno { n.mode = mode & 0o7777; return 0 })
}

// Chtimes sets when n was changed.
func (f *FS) Chtimes(n *Inode, mtime time.Time) syscall.Errno {
	return f.do(func() syscall.Errno { n.mtime = mtime; return 0 })
}
