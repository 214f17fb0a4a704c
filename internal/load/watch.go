package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Quiet is how long a file must not have changed before it is looked at again:
// editors write in several steps.
const Quiet = 100 * time.Millisecond

// lookAgain is how often a folder that has gone is looked for.
const lookAgain = time.Second

// Watch calls changed with the path of each file that was added, edited or
// removed below the paths, folders and single files, once the file is quiet,
// until ctx ends. Every folder is looked through once, too, as soon as it is
// watched, so that nothing is missed that changed just before. A file is named
// as its path was given. A folder that goes takes its files along, and is
// looked for until it is there again.
func Watch(ctx context.Context, paths []string, changed func(path string)) error {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch for changed seeds: %w", err)
	}
	defer notify.Close()
	w := &watch{
		notify: notify, changed: changed, pending: map[string]time.Time{}, told: map[string]bool{},
		files: map[string]bool{}, folders: map[string]bool{}, gone: map[string]bool{},
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		path = filepath.Clean(path)
		if info.IsDir() {
			w.folders[path] = true
			err = w.enter(path)
		} else {
			w.files[path] = true
			err = notify.Add(filepath.Dir(path))
		}
		if err != nil {
			return fmt.Errorf("watch %s: %w", path, err)
		}
	}
	return w.run(ctx)
}

// A watch is one call of Watch.
type watch struct {
	notify         *fsnotify.Watcher
	changed        func(string)
	pending        map[string]time.Time // when to look at a file
	told           map[string]bool      // files that changed was called with, and that were there
	files, folders map[string]bool      // what is watched
	gone           map[string]bool      // folders that are to come back
}

func (w *watch) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch for changed seeds: %w", err)
			}
			for dir := range w.folders { // events were lost: look at all
				w.leave(dir)
			}
			timer.Reset(0)
		case event := <-w.notify.Events:
			w.heed(event)
			timer.Reset(Quiet)
		case <-again.C:
			for dir := range w.gone {
				if w.enter(dir) == nil {
					delete(w.gone, dir)
					timer.Reset(0)
				}
			}
		case <-timer.C:
			if next := w.settle(); next > 0 {
				timer.Reset(next)
			}
		}
	}
}

// enter watches a folder and looks at all that is in it.
func (w *watch) enter(dir string) error {
	if err := w.notify.Add(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() && Eligible(e.Name()) {
			w.pending[filepath.Join(dir, e.Name())] = time.Now()
		}
	}
	return nil
}

// leave looks at the files of a folder that may have gone, and at the folder
// itself when it is there again.
func (w *watch) leave(dir string) {
	w.gone[dir] = true
	for path := range w.told {
		if filepath.Dir(path) == dir {
			w.pending[path] = time.Now()
		}
	}
}

// heed takes one event.
func (w *watch) heed(event fsnotify.Event) {
	path := filepath.Clean(event.Name)
	switch {
	case w.folders[path] && event.Has(fsnotify.Remove|fsnotify.Rename):
		w.notify.Remove(path) // of one that was removed there is none
		w.leave(path)
	case w.files[path], w.folders[filepath.Dir(path)] && Eligible(filepath.Base(path)):
		w.pending[path] = time.Now().Add(Quiet)
	}
}

// settle looks at the files that are quiet, and returns when to come back; 0
// is when something happens.
func (w *watch) settle() (next time.Duration) {
	now := time.Now()
	for path, due := range w.pending {
		if wait := due.Sub(now); wait > 0 {
			if next == 0 || wait < next {
				next = wait
			}
			continue
		}
		delete(w.pending, path)
		w.changed(path)
		if _, err := os.Lstat(path); err == nil {
			w.told[path] = true
		} else {
			delete(w.told, path)
		}
	}
	return next
}
