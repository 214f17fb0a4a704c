package lossy

import (
	"maps"
	"slices"
	"syscall"
	"time"
)

// pageSize is what the disk writes as one: no page is ever torn.
const pageSize = 4096

type page [pageSize]byte

// A content is a file's. Pages that are nil, or beyond the end of pages, read
// as zeros.
//
// Invariant: what lies behind size in its last page is zero.
type content struct {
	size  int64
	pages []*page
}

// between is a page's content between the last sync and now, or nil.
type between *page

func (c *content) page(i int) *page {
	if i < len(c.pages) {
		return c.pages[i]
	}
	return nil
}

func (c *content) set(i int, p *page) {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	c.pages[i] = p
}

// resize cuts or extends c. It changes no page in place, since others may
// share it.
func (c *content) resize(size int64) {
	if size < c.size {
		whole := int((size + pageSize - 1) / pageSize)
		c.pages = slices.Clone(c.pages[:min(whole, len(c.pages))])
		if size%pageSize != 0 && c.page(whole-1) != nil {
			cut := *c.pages[whole-1]
			clear(cut[size%pageSize:])
			c.pages[whole-1] = &cut
		}
	}
	c.size = size
}

func (c *content) clone() content { return content{c.size, slices.Clone(c.pages)} }

// Read fills dest from off on and returns how many bytes there were.
func (f *FS) Read(n *Inode, dest []byte, off int64) (count int, errno syscall.Errno) {
	errno = f.do(func() syscall.Errno {
		if n.dir {
			return syscall.EISDIR
		}
		dest = dest[:max(0, min(int64(len(dest)), n.now.size-off))]
		for count < len(dest) {
			at := off + int64(count)
			rest := dest[count:min(len(dest), count+pageSize-int(at%pageSize))]
			if p := n.now.page(int(at / pageSize)); p != nil {
				copy(rest, p[at%pageSize:])
			} else {
				clear(rest)
			}
			count += len(rest)
		}
		return 0
	})
	return count, errno
}

// Write puts data at off; with sync it is safe when Write returns.
func (f *FS) Write(n *Inode, data []byte, off int64, sync bool) syscall.Errno {
	return f.do(func() syscall.Errno {
		if n.dir {
			return syscall.EISDIR
		}
		n.mtime = time.Now()
		for done := 0; done < len(data); {
			at := off + int64(done)
			p := f.disk.write(n, int(at/pageSize))
			done += copy(p[at%pageSize:], data[done:])
		}
		if end := off + int64(len(data)); end > n.now.size {
			if f.disk.rand.IntN(2) == 0 {
				n.sizeBetween = n.now.size
			}
			n.now.size = end
		}
		if sync {
			f.disk.sync(n)
		}
		return 0
	})
}

// write gives page i of n to be written to.
func (d *Disk) write(n *Inode, i int) *page {
	now := n.now.page(i)
	if _, ok := n.dirty[i]; !ok {
		fresh := new(page)
		if now != nil {
			*fresh = *now
		}
		n.dirty[i] = nil
		n.now.set(i, fresh)
		return fresh
	}
	// The disk may have written the page at any moment meanwhile: which one
	// is drawn as they come.
	if d.rand.IntN(2) == 0 {
		was := *now
		n.dirty[i] = &was
	}
	return now
}

// Truncate sets the size.
func (f *FS) Truncate(n *Inode, size int64) syscall.Errno {
	return f.do(func() syscall.Errno {
		switch {
		case n.dir:
			return syscall.EISDIR
		case size < 0:
			return syscall.EINVAL
		case size == n.now.size:
			return 0
		}
		n.mtime = time.Now()
		f.disk.cut(n, size)
		return 0
	})
}

func (d *Disk) cut(n *Inode, size int64) {
	n.now.resize(size)
	n.sizeBetween = size
	maps.DeleteFunc(n.dirty, func(i int, _ between) bool { return int64(i)*pageSize >= size })
	if last := int(size / pageSize); size%pageSize != 0 {
		if _, ok := n.dirty[last]; ok { // what was between is longer
			n.dirty[last] = nil
		}
	}
	n.cuts++
	d.journal = append(d.journal, &entry{file: n, size: size})
}

// Allocate makes the file at least size bytes long.
func (f *FS) Allocate(n *Inode, size int64) syscall.Errno {
	return f.do(func() syscall.Errno {
		if n.dir {
			return syscall.EISDIR
		}
		if size > n.now.size {
			f.disk.cut(n, size)
		}
		return 0
	})
}

// Sync is fsync and fdatasync, of a file or a folder.
func (f *FS) Sync(n *Inode) syscall.Errno {
	return f.do(func() syscall.Errno { f.disk.sync(n); return 0 })
}

func (d *Disk) sync(n *Inode) {
	d.commit(n)
	if n.dir {
		return
	}
	// Entry by entry: files are long, and synced after each write.
	for i := range n.dirty {
		n.kept.set(i, n.now.page(i))
	}
	n.kept.size = n.now.size
	n.sizeBetween = n.now.size
	clear(n.dirty)
}
