package inject

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// whyEnd ends the name of the text that says what is wrong with a file.
const whyEnd = ".why.txt"

// done moves a file away whose packet is taken.
func (f *Folder) done(l look) error {
	to, err := f.free(doneDir, l.name, "")
	if err == nil {
		err = f.move(l, to)
	}
	if err != nil {
		return f.stuck(l, fmt.Errorf("its packet is taken, and would be taken again at the next start: move the file away by hand: %w", err))
	}
	f.late.add(to, l)
	f.cfg.Log.Debug("took a file", "file", f.path(l.name), "moved", to)
	return nil
}

// refuse moves a bad file away and writes beside it why it is bad.
func (f *Folder) refuse(l look, why error) error {
	text := fmt.Sprintf("%s: %v\nOnce it is mended, move it back to %s.\n", f.path(l.name), why, f.cfg.Dir)
	to, err := f.free(badDir, l.name, text)
	if err == nil {
		if err = f.move(l, to); err != nil {
			err = errors.Join(err, os.Remove(to+whyEnd))
		}
	}
	if err != nil {
		return f.stuck(l, fmt.Errorf("it is bad (%w), and cannot be moved away: %w", why, err))
	}
	f.cfg.Log.Error("a bad file is not taken", "file", f.path(l.name), "err", why, "moved", to)
	return nil
}

// move gives a file the path to, which is reserved. Of a file that is gone by
// now nothing needs to be moved.
func (f *Folder) move(l look, to string) error {
	err := os.Rename(f.path(l.name), to)
	if err == nil {
		return nil
	}
	cleared := os.Remove(to)
	if errors.Is(err, fs.ErrNotExist) {
		return cleared
	}
	return errors.Join(err, cleared)
}

// stuck leaves a file where it is that cannot be moved away, so that it is
// not taken over and over.
func (f *Folder) stuck(l look, err error) error {
	if !f.leave(l, "a file cannot be moved out of the way", err) {
		return fmt.Errorf("%d files of %s cannot be moved out of the way, the last of them %s: %w", maxLeft, f.cfg.Dir, l.name, err)
	}
	return nil
}

// free reserves a path in one of the folder's own folders for a file of that
// name: the name itself or, where that is taken, one with eight drawn digits
// before its ending. With a text, that is written beside it.
func (f *Folder) free(sub, name, text string) (string, error) {
	dir := f.path(sub)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	end := filepath.Ext(name)
	to := filepath.Join(dir, name)
	for {
		err := reserve(to, text)
		if !errors.Is(err, fs.ErrExist) {
			return to, err
		}
		// By the odds this ends at the first draw.
		to = filepath.Join(dir, strings.TrimSuffix(name, end)+"."+packet.NewID().String()[:8]+end)
	}
}

// reserve makes an empty file at path, and one beside it that holds text if
// there is any. Where either is taken, it makes none and gives fs.ErrExist.
func reserve(path, text string) error {
	if err := write(path, ""); err != nil || text == "" {
		return err
	}
	if err := write(path+whyEnd, text); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// write makes a file that is not there yet.
func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
