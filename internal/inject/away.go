package inject

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/packet"
)

// whyEnd ends the name of the text that says what is wrong with a file.
const whyEnd = ".why.txt"

// done moves a file away whose packet is taken, and which is open; where it stays, o is nil.
func (f *taker) done(l stat, file *os.File, id packet.ID, o *ownDir) error {
	if o == nil {
		f.taken++
		f.cfg.Log.Info("took a file", "file", f.path(l.name), "packet", id)
		return nil
	}
	name := path.Base(l.name)
	to, err := name, renameNew(int(o.from.Fd()), name, int(o.dir.Fd()), name)
	if err != nil { // the name is taken, or has to be reserved first
		if to, err = o.free(name, ""); err == nil {
			err = o.move(name, to)
		}
	}
	if err == nil && o.another(to, file) {
		f.taken++
		f.cfg.Log.Info("took a file, and another has its name since, which comes next", "file", f.path(l.name), "packet", id)
		if err := o.giveBack(to, name); err != nil {
			return fmt.Errorf("a file that was not taken cannot go back to %s: %w", f.path(l.name), err)
		}
		return nil
	}
	if err != nil {
		return f.stuck(l, fmt.Errorf("its packet is taken, and would be taken again at the next start: move the file away by hand: %w", err))
	}
	f.taken++
	f.late.add(o.at(to), l)
	f.cfg.Log.Info("took a file", "file", f.path(l.name), "packet", id, "moved", o.at(to))
	return nil
}

// refuse moves a bad file away and writes beside it why it is bad. Where files stay it
// only says so.
func (f *taker) refuse(s *candidates, l stat, why error) error {
	if f.memory != nil {
		if f.leave(l, "a bad file is not taken; it is tried again when it has changed, and at the next start", why) {
			f.refused++
		}
		return nil
	}
	text := fmt.Sprintf("%s: %v\nOnce it is mended, move it back to %s.\n", f.path(l.name), why, filepath.Dir(f.path(l.name)))
	o := f.ownFor(s, l, badDir)
	if o == nil {
		return nil
	}
	defer o.close()
	name := path.Base(l.name)
	to, err := o.free(name, text)
	if err == nil {
		if err = o.move(name, to); err != nil {
			err = errors.Join(err, o.remove(to+whyEnd))
		}
	}
	if err != nil {
		return f.stuck(l, fmt.Errorf("it is bad (%w), and cannot be moved away: %w", why, err))
	}
	f.refused++
	f.cfg.Log.Error("a bad file is not taken", "file", f.path(l.name), "error", why, "moved", o.at(to))
	return nil
}

// move gives a file the name to, which is reserved. Of a file that is gone by
// now nothing needs to be moved.
func (o *ownDir) move(name, to string) error {
	err := o.take(name, to)
	if err == nil {
		return nil
	}
	cleared := o.remove(to)
	if errors.Is(err, fs.ErrNotExist) {
		return cleared
	}
	return errors.Join(err, cleared)
}

// another tells whether what was moved to that name is not the file that was taken: one was
// renamed over it since.
func (o *ownDir) another(to string, taken *os.File) bool {
	var there, was unix.Stat_t
	err := errors.Join(unix.Fstatat(int(o.dir.Fd()), to, &there, unix.AT_SYMLINK_NOFOLLOW), unix.Fstat(int(taken.Fd()), &was))
	return err == nil && (there.Ino != was.Ino || there.Dev != was.Dev)
}

// giveBack moves a file back to where it came from, under its name or, if there is another
// by now, one of its own.
func (o *ownDir) giveBack(to, name string) error {
	err := renameNew(int(o.dir.Fd()), to, int(o.from.Fd()), name)
	if err == nil {
		return nil
	}
	end := filepath.Ext(name)
	fresh := strings.TrimSuffix(name, end) + "." + packet.NewID().String()[:8] + end
	if err := unix.Renameat(int(o.dir.Fd()), to, int(o.from.Fd()), fresh); err != nil {
		return &os.LinkError{Op: "rename", Old: o.at(to), New: fresh, Err: err}
	}
	return nil
}

// stuck leaves a file where it is that cannot be moved away, so that it is
// not taken over and over.
func (f *taker) stuck(l stat, err error) error {
	if !f.leave(l, "a file cannot be moved out of the way", err) {
		return fmt.Errorf("%d files of %s cannot be moved out of the way, the last of them %s: %w", maxLeft, f.cfg.Dir, l.name, err)
	}
	return nil
}

// free reserves a name in the folder for a file of that name: the name itself or, where
// that is taken, one with eight drawn digits before its ending. With a text, that is
// written beside it.
func (o *ownDir) free(name, text string) (string, error) {
	end := filepath.Ext(name)
	to := name
	for {
		err := o.reserve(to, text)
		if !errors.Is(err, fs.ErrExist) {
			return to, err
		}
		// By the odds this ends at the first draw.
		to = strings.TrimSuffix(name, end) + "." + packet.NewID().String()[:8] + end
	}
}

// reserve makes an empty file of that name, and one beside it that holds text if
// there is any. Where either is taken, it makes none and gives fs.ErrExist.
func (o *ownDir) reserve(name, text string) error {
	if err := o.write(name, ""); err != nil || text == "" {
		return err
	}
	if err := o.write(name+whyEnd, text); err != nil {
		return errors.Join(err, o.remove(name))
	}
	return nil
}

// reportLate says which files have changed since they were taken.
func (f *taker) reportLate() {
	f.late.check(func(path string, taken, now stat) {
		f.cfg.Log.Warn("a file has changed after it was taken, and its packet has what it held before; move it back when it is complete, to make another packet of it",
			"file", path, "bytes", taken.size, "bytes now", now.size)
	})
}

// maxHeld is of how many folders it is remembered why no file can be moved there.
const maxHeld = 1000

// ownFor opens the folder in one of the folder's own folders where a file moves to. Where
// it cannot, it leaves the file for later, says so as long as the reason is another, and
// gives nil.
func (f *taker) ownFor(s *candidates, l stat, name string) *ownDir {
	to := path.Join(name, folderOf(l.name))
	o, err := f.own(name, folderOf(l.name))
	if err == nil {
		delete(f.held, to)
		return o
	}
	if errors.Is(err, errAway) {
		return nil
	}
	s.put(l, lookEvery)
	if why := err.Error(); f.held[to] != why && len(f.held) < maxHeld {
		f.held[to] = why
		f.cfg.Log.Error("files wait in the rx folder, since they could not be moved away; this is tried again",
			"folder", f.cfg.Dir, "every", lookEvery, "error", err)
	}
	return nil
}
