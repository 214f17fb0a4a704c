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

// Watch calls changed with the path of each file that was added, edited or
// removed below the paths, folders and single files, once the file is quiet,
// until ctx ends. Every folder is looked through once, too, as soon as it is
// watched, so that nothing is missed that changed just before. A file is named
// as its path was given.
func Watch(ctx context.Context, paths []string, changed func(path string)) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch for changed seeds: %w", err)
	}
	defer w.Close()
	pending := map[string]time.Time{}
	files, folders := map[string]bool{}, map[string]bool{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		dir := path
		if info.IsDir() {
			folders[filepath.Clean(path)] = true
			entries, err := os.ReadDir(path)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !e.IsDir() && Eligible(e.Name()) {
					pending[filepath.Join(path, e.Name())] = time.Now()
				}
			}
		} else {
			dir = filepath.Dir(path)
			files[filepath.Clean(path)] = true
		}
		if err := w.Add(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch for changed seeds: %w", err)
			}
			for dir := range folders { // events were lost: look at all
				entries, err := os.ReadDir(dir)
				if err != nil {
					return err
				}
				for _, e := range entries {
					pending[filepath.Join(dir, e.Name())] = time.Now()
				}
			}
			timer.Reset(0)
		case event := <-w.Events:
			path := filepath.Clean(event.Name)
			if files[path] || folders[filepath.Dir(path)] && Eligible(filepath.Base(path)) {
				pending[path] = time.Now().Add(Quiet)
				timer.Reset(Quiet)
			}
		case <-timer.C:
			now := time.Now()
			for path, due := range pending {
				if due.After(now) {
					timer.Reset(due.Sub(now))
					continue
				}
				delete(pending, path)
				changed(path)
			}
		}
	}
}
