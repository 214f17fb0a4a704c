package inject

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// A finder finds the files of a folder that are to be taken.
type finder struct {
	tree
	memory *memory       // nil where files move away
	left   map[stat]bool // cannot be moved away: reported once, then left alone; at most maxLeft
	// others is what was found last that is none to take, by the reason, and reported how
	// many of them there were when that was last said.
	others   map[string]others
	reported map[string]int
	// watcher tells what happens; nil where nothing does. unwatched: it was said that it
	// does not for all sub-folders.
	watcher   watcher
	unwatched bool
}

// eligible looks at a file and tells whether it is one to take.
func (f *finder) eligible(name string) (stat, bool) {
	l, ok, _ := f.judge(name)
	return l, ok && !l.mode.IsDir()
}

// judge is eligible that also says why a file is left alone that seems to be meant as
// one to take. A folder is ok if it is to be looked into.
func (f *finder) judge(name string) (l stat, ok bool, why string) {
	if ignored(path.Base(name)) {
		return stat{}, false, ""
	}
	info, err := os.Lstat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return stat{}, false, "" // it was taken, or its owner took it back
	}
	if err != nil {
		return stat{name: name}, false, "cannot be looked at: " + reason(err).Error()
	}
	l = statOf(name, info)
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
func (f *finder) leave(l stat, msg string, err error) bool {
	if f.left[l] {
		return true
	}
	if len(f.left) == maxLeft {
		return false
	}
	f.left[l] = true
	f.cfg.Log.Error(msg, "file", f.path(l.name), "error", err)
	if len(f.left) == maxLeft {
		f.cfg.Log.Warn("so many files are left alone that further ones are not logged", "folder", f.cfg.Dir, "files", maxLeft)
	}
	return true
}

// maxLeft is how many files that are left alone are remembered.
const maxLeft = 10_000

// observe has the watcher, if there is one, tell what happens in a sub-folder.
func (f *finder) observe(sub string) {
	if f.watcher == nil {
		return
	}
	if err := f.watcher.add(sub); err != nil && !f.unwatched {
		f.unwatched = true
		f.cfg.Log.Warn("the system does not tell what happens in all sub-folders: new files are looked for there",
			"folder", f.path(sub), "every", lookEvery, "error", err)
	}
}

// Others are what lies in a folder and is no file to take, of one kind.
type others struct {
	count int
	such  string // one of them
}

// reportOthers says what a look has found that is left alone: a line for each kind, and
// again when there are twice as many.
func (f *finder) reportOthers(found map[string]others) {
	for _, why := range slices.Sorted(maps.Keys(found)) {
		if o := found[why]; o.count >= 2*f.reported[why] {
			f.reported[why] = o.count
			f.cfg.Log.Info("files are left alone", "reason", why, "files", o.count, "file", f.path(o.such))
		}
	}
	f.others = found
}
