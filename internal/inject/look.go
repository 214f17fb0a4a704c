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

// eligible looks at a file and tells whether it is one to take.
func (f *Folder) eligible(name string) (look, bool) {
	l, ok, _ := f.judge(name)
	return l, ok
}

// judge is eligible that also says why a file is left alone that seems to be meant as
// one to take.
func (f *Folder) judge(name string) (l look, ok bool, why string) {
	if ignored(name) {
		return look{}, false, ""
	}
	info, err := os.Lstat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return look{}, false, "" // it was taken, or its owner took it back
	}
	if err != nil {
		return look{}, false, "cannot be looked at: " + reason(err).Error()
	}
	l = lookOf(name, info)
	switch {
	case l.mode&fs.ModeSymlink != 0:
		return l, false, "a symbolic link could lead anywhere"
	case l.mode.IsDir():
		return l, false, "folders in the rx folder are not looked into"
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
	left := map[string]others{}
	for len(found) <= maxSettling {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			l, ok, why := f.judge(name)
			if ok {
				found = append(found, l)
			} else if why != "" {
				left[why] = others{left[why].count + 1, name}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(errGone, err)
		}
	}
	f.tellOthers(left)
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
