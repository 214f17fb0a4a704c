package inject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A look is what can be told of a file without reading it. Two looks that are
// equal saw the same file with the same data.
type look struct {
	name    string // below the folder
	mode    fs.FileMode
	size    int64
	changed int64 // when its data last changed, Unix time in ns
	status  int64 // when its data, names or rights last did, likewise
	inode   uint64
	links   uint64 // how many names it has
}

// lookOf is what info tells of the file of that name.
func lookOf(name string, info fs.FileInfo) look {
	l := look{name: name, mode: info.Mode(), size: info.Size(), changed: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		l.inode, l.links, l.status = uint64(st.Ino), uint64(st.Nlink), statusTime(st)
	}
	return l
}

// passing are the endings of the names of files that are on their way to
// another name.
var passing = []string{"~", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp", ".filepart"}

// ignored tells whether a file of that name is hidden or temporary.
func ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
		return true
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc(passing, func(end string) bool { return strings.HasSuffix(name, end) })
}

// eligible looks at a file and tells whether it is one to take.
func (f *Folder) eligible(name string) (look, bool) {
	l, ok, _ := f.judge(name)
	return l, ok && !l.mode.IsDir()
}

// judge is eligible that also says why a file is left alone that seems to be meant as
// one to take. A folder is ok if it is to be looked into.
func (f *Folder) judge(name string) (l look, ok bool, why string) {
	if ignored(path.Base(name)) {
		return look{}, false, ""
	}
	info, err := os.Lstat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return look{}, false, "" // it was taken, or its owner took it back
	}
	if err != nil {
		return look{name: name}, false, "cannot be looked at: " + reason(err).Error()
	}
	l = lookOf(name, info)
	switch {
	case l.mode&fs.ModeSymlink != 0:
		return l, false, "a symbolic link could lead anywhere"
	case l.mode.IsDir():
		return l, !slices.Contains(f.cfg.Apart, f.path(name)), ""
	case !l.mode.IsRegular():
		return l, false, "what is not a regular file has no data to take"
	case f.cfg.State == "" && !strings.HasSuffix(name, ".pkt"):
		return l, false, "it is not named .pkt; --rx DIR=Type:STATE takes files of any name"
	}
	return l, !f.left[l], ""
}

// leave tells that, and why, a file is left alone, once for each file as long
// as there is room to remember. It tells whether there was.
func (f *Folder) leave(l look, msg string, err error) bool {
	if f.left[l] {
		return true
	}
	if len(f.left) == maxLeft {
		return false
	}
	f.left[l] = true
	f.cfg.Log.Error(msg, "file", f.path(l.name), "err", err)
	if len(f.left) == maxLeft {
		f.cfg.Log.Warn(fmt.Sprintf("so many files of the %s are left alone that further ones are not logged", f.kind), "dir", f.cfg.Dir, "files", maxLeft)
	}
	return true
}

// find looks for files to take in a sub-folder, "" for the folder itself. The oldest are
// first. left is what is none to take.
func (f *Folder) find(ctx context.Context, sub string) (found []look, left map[string]others, err error) {
	left = map[string]others{}
	w := walk{folder: f, ctx: ctx, visit: func(l look, ok bool, why string) bool {
		switch {
		case ok && f.isNew(ctx, l):
			found = append(found, l)
		case why != "":
			left[why] = others{left[why].count + 1, l.name}
		}
		return len(found) <= maxSettling
	}}
	err = w.below(sub)
	slices.SortFunc(found, func(a, b look) int {
		return cmp.Or(cmp.Compare(a.changed, b.changed), strings.Compare(a.name, b.name))
	})
	return found, left, err
}

// scan makes every file of the folder a candidate, the oldest first.
func (f *Folder) scan(ctx context.Context, s *settling) error {
	began := time.Now()
	found, left, err := f.find(ctx, "")
	if err != nil {
		return errors.Join(errGone, err)
	}
	if ctx.Err() != nil {
		return nil
	}
	f.tellOthers(left)
	f.forget(ctx)
	for _, l := range found {
		if !s.add(l) {
			break
		}
	}
	s.looked = time.Now()
	s.pause = (lookShare - 1) * s.looked.Sub(began)
	s.through.Reset(max(lookEvery, s.pause))
	return nil
}

// rescan is scan, but not too soon after the last one: then it is put off.
func (f *Folder) rescan(ctx context.Context, s *settling) error {
	if left := s.pause - time.Since(s.looked); left > 0 {
		s.through.Reset(left)
		return nil
	}
	return f.scan(ctx, s)
}

// lookShare bounds how much of the time goes into looking through the folder: one part of
// that many.
const lookShare = 10

// scanBelow makes every file of a sub-folder that has just come a candidate.
func (f *Folder) scanBelow(ctx context.Context, s *settling, sub string) {
	l, ok, _ := f.judge(sub)
	if !ok || !l.mode.IsDir() {
		return
	}
	found, _, err := f.find(ctx, sub)
	if err != nil {
		f.cfg.Log.Debug("looking into a new folder; this is tried again", "folder", f.path(sub), "err", err)
	}
	for _, l := range found {
		s.add(l)
	}
}
