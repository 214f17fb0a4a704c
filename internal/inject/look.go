package inject

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// A look is what can be told of a file without reading it. Two looks that are
// equal saw the same file with the same data.
type look struct {
	name    string
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

// eligible looks at a file and tells whether it is one to take. What is none
// and seems to be meant as one is told, once.
func (f *Folder) eligible(name string) (look, bool) {
	if ignored(name) {
		return look{}, false
	}
	info, err := os.Lstat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return look{}, false // it was taken, or its owner took it back
	}
	if err != nil {
		f.leave(look{name: name}, "the file cannot be looked at", err)
		return look{}, false
	}
	l := lookOf(name, info)
	switch {
	case l.mode&fs.ModeSymlink != 0:
		f.leave(l, "a symbolic link is left alone: it could lead anywhere", nil)
	case l.mode.IsDir():
		f.leave(l, "a folder in the rx folder is left alone", nil)
	case !l.mode.IsRegular():
		f.leave(l, "what is not a regular file is left alone", nil)
	case f.cfg.State == "" && !strings.HasSuffix(name, ".pkt"):
		f.leave(l, "a file that is not named .pkt is left alone; --rx DIR=Type:STATE takes files of any name", nil)
	default:
		return l, !f.left[l]
	}
	return l, false
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
	if err != nil {
		f.cfg.Log.Error(msg, "file", f.path(l.name), "err", err)
	} else {
		f.cfg.Log.Info(msg, "file", f.path(l.name))
	}
	if len(f.left) == maxLeft {
		f.cfg.Log.Warn("so many files of the rx folder are left alone that further ones are not logged", "dir", f.cfg.Dir, "files", maxLeft)
	}
	return true
}

// scan makes every file of the folder a candidate, the oldest first.
func (f *Folder) scan(s *settling) error {
	d, err := os.Open(f.cfg.Dir)
	if err != nil {
		return errors.Join(errGone, err)
	}
	defer d.Close() // only read
	var found []look
	for len(found) <= maxSettling {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if l, ok := f.eligible(name); ok {
				found = append(found, l)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(errGone, err)
		}
	}
	slices.SortFunc(found, func(a, b look) int {
		if a.changed != b.changed {
			return int(max(-1, min(1, a.changed-b.changed)))
		}
		return strings.Compare(a.name, b.name)
	})
	for _, l := range found {
		if !s.add(l) {
			break
		}
	}
	return nil
}
