package lossy

import (
	"maps"
	"slices"
)

// An entry of the journal happens whole or not at all: changes of names, or a
// truncation.
type entry struct {
	sets []set
	gone *Inode // loses a name; nil if none does
	file *Inode // is truncated to size; nil if none is
	size int64
}

// A set gives a name in a folder to an inode; to nil, it takes it away.
type set struct {
	dir  *Inode
	name string
	to   *Inode
}

func put(names map[string]*Inode, s set) {
	if s.to == nil {
		delete(names, s.name)
	} else {
		names[s.name] = s.to
	}
}

// concerns tells whether the entry changes n.
func (e *entry) concerns(n *Inode) bool {
	return e.file == n || e.gone == n ||
		slices.ContainsFunc(e.sets, func(s set) bool { return s.dir == n || s.to == n })
}

// keep makes the entry last.
func (e *entry) keep() {
	for _, s := range e.sets {
		put(s.dir.keptName, s)
	}
	if e.file != nil {
		e.file.cuts--
		e.file.kept.resize(e.size)
	}
}

// commit makes those entries last that syncing n does.
func (d *Disk) commit(n *Inode) {
	if d.rule == Portable {
		d.journal = slices.DeleteFunc(d.journal, func(e *entry) bool {
			its := e.file == n || len(e.sets) > 0 && e.sets[0].dir == n
			if its {
				e.keep()
			}
			return its
		})
		return
	}
	for i, e := range slices.Backward(d.journal) {
		if e.concerns(n) {
			d.commitFirst(i + 1)
			return
		}
	}
}

func (d *Disk) commitFirst(count int) {
	for _, e := range d.journal[:count] {
		e.keep()
	}
	d.journal = slices.Delete(d.journal, 0, count)
}

// A Loss counts what a loss of power took.
type Loss struct{ Names, Pages int }

// PowerOff forgets what was not synced, but for what the seed lets survive.
// Every [FS] of before is dead; a new one shows what is left, all of it synced.
func (d *Disk) PowerOff() Loss {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.power++
	var loss Loss
	all := len(d.journal)
	if d.rule == Portable {
		d.commitSome()
	} else {
		d.commitFirst(d.draw(all))
	}
	loss.Names = len(d.journal)
	d.journal = nil
	d.root = d.left(d.root, &loss, map[*Inode]*Inode{})
	return loss
}

// draw is a number from 0 to all, both ends often: nothing and everything are
// what a disk leaves most.
func (d *Disk) draw(all int) int {
	switch d.rand.IntN(4) {
	case 0:
		return 0
	case 1:
		return all
	}
	return d.rand.IntN(all + 1)
}

// commitSome keeps a beginning of each folder's and each file's journal.
func (d *Disk) commitSome() {
	var order []*Inode
	of := map[*Inode][]*entry{}
	for _, e := range d.journal {
		n := e.file
		if n == nil {
			n = e.sets[0].dir
		}
		if of[n] == nil {
			order = append(order, n)
		}
		of[n] = append(of[n], e)
	}
	d.journal = nil
	for _, n := range order {
		kept := d.draw(len(of[n]))
		for _, e := range of[n][:kept] {
			e.keep()
		}
		d.journal = append(d.journal, of[n][kept:]...)
	}
}

// left is a new inode with what survives of n and all below it. An inode that
// has two names is one afterwards, too.
func (d *Disk) left(n *Inode, loss *Loss, done map[*Inode]*Inode) *Inode {
	if was := done[n]; was != nil {
		return was
	}
	is := d.inode(n.dir, n.mode)
	is.mtime = n.mtime
	done[n] = is
	if !n.dir {
		d.settle(n, loss)
		is.kept, is.now, is.sizeBetween = n.kept, n.kept.clone(), n.kept.size
		return is
	}
	for _, name := range slices.Sorted(maps.Keys(n.keptName)) {
		is.keptName[name] = d.left(n.keptName[name], loss, done)
	}
	is.names = maps.Clone(is.keptName)
	return is
}

// settle draws which pages of a file that were not synced survive, and which
// size.
func (d *Disk) settle(n *Inode, loss *Loss) {
	if n.cuts > 0 || len(n.dirty) == 0 {
		loss.Pages += len(n.dirty)
		return
	}
	size := n.now.size
	if size > n.kept.size {
		switch d.rand.IntN(4) {
		case 0:
			size = n.kept.size
		case 1:
			size = max(n.kept.size, n.sizeBetween)
		case 2: // a page that was written before those behind it
			pages := 1 + d.rand.Int64N((size+pageSize-1)/pageSize)
			size = min(size, max(n.kept.size, pages*pageSize))
		}
	}
	survive := []int{0, 5, 10}[d.rand.IntN(3)] // pages of ten
	for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
		if d.rand.IntN(10) >= survive {
			loss.Pages++
			continue
		}
		p := n.now.page(i)
		if mid := n.dirty[i]; mid != nil && d.rand.IntN(2) == 0 {
			p = mid
		}
		n.kept.set(i, p)
	}
	// Through the greatest size first, so that what a page holds behind the
	// one that survives is gone.
	n.kept.size = max(n.kept.size, int64(len(n.kept.pages))*pageSize)
	n.kept.resize(size)
}
