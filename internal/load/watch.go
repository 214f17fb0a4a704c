package load

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/recap/pumpkin/internal/netfs"
)

const (
	// Quiet is how long a file must not have changed before it is looked at again:
	// editors write in several steps.
	Quiet = 100 * time.Millisecond
	// lookOften is how often a folder is looked through that cannot be watched, or
	// has gone.
	lookOften = time.Second
	// lookEvery is how often the others are: what another machine does on a network
	// file system tells nothing here.
	lookEvery = 10 * time.Second
)

// Watch calls changed with the path of each file that was added, edited or
// removed below the paths, folders and single files, once the file is quiet,
// until ctx ends. Every folder is looked through once, too, as soon as it is
// watched, so that nothing is missed that changed just before, and from then on
// again and again, whatever its events say. A file is named as its path was given,
// and what a link leads to as the link.
// A folder that goes takes its files along, and is looked for until it is there
// again. What cannot be watched, for want of inotify instances or watches for
// instance, is looked through more often; log says so.
// A change of what a seed uses beside its file is one of the seed.
func Watch(ctx context.Context, paths []string, uses *Uses, changed func(path string), log *slog.Logger) {
	w := newWatch(paths, uses, changed, log)
	for dir := range w.dirs() {
		if kind := netfs.Kind(dir); kind != "" {
			log.Info("a folder of seeds is on a network file system, and is looked through for what other machines change",
				"folder", dir, "system", kind, "every", lookEvery)
		}
	}
	w.watch(ctx)
}

// watch has the system tell of changes, where it can, until ctx ends.
func (w *watch) watch(ctx context.Context) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		w.blind(err)
	} else {
		defer notify.Close()
		w.notify, w.events, w.errors = notify, notify.Events, notify.Errors
	}
	w.run(ctx)
}

// A watch is one call of Watch.
type watch struct {
	log     *slog.Logger
	every   time.Duration     // lookEvery
	notify  *fsnotify.Watcher // nil: nothing is watched
	events  chan fsnotify.Event
	errors  chan error
	uses    *Uses
	changed func(string)
	pending map[string]time.Time // when to look at a file
	// seen are the files that changed was called with, and that were there, with what they use.
	seen           map[string][]stamp
	files, folders map[string]bool     // what is to be watched
	watched        map[string]place    // the folders that are
	links          map[string][]string // the files that lead to a file elsewhere, or use it
	within         map[string][]string // the files that use what is in a folder
	saidBlind      bool                // that one cannot be
}

// newWatch is a watch of these paths that looks alone.
func newWatch(paths []string, uses *Uses, changed func(path string), log *slog.Logger) *watch {
	w := &watch{
		log: log, every: lookEvery, uses: uses, changed: changed, pending: map[string]time.Time{}, seen: map[string][]stamp{},
		files: map[string]bool{}, folders: map[string]bool{}, watched: map[string]place{}, links: map[string][]string{}, within: map[string][]string{},
	}
	for _, path := range paths {
		path = filepath.Clean(path)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			w.folders[path] = true
		} else {
			w.files[path] = true
		}
	}
	return w
}

// A place is where a folder is that is watched.
type place struct {
	real string // its name without links
	info fs.FileInfo
}

func placeOf(dir string) (at place, err error) {
	if at.real, err = realPath(dir); err == nil {
		at.info, err = os.Stat(at.real)
	}
	return at, err
}

// realPath is where a path leads to, from the root.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// A stamp is what can be told of a file without reading it.
type stamp struct {
	size    int64
	changed time.Time
	file    fs.FileInfo
}

// stampOf looks at what a path leads to.
func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime(), info}, nil
}

func (s stamp) same(as stamp) bool {
	if s.file == nil || as.file == nil {
		return s.file == as.file
	}
	return s.size == as.size && s.changed.Equal(as.changed) && os.SameFile(s.file, as.file)
}

// stampsOf looks at a path and at what the seed there uses, of which some may be gone.
func (w *watch) stampsOf(path string) ([]stamp, error) {
	own, err := stampOf(path)
	if err != nil {
		return nil, err
	}
	stamps := []stamp{own}
	files, _ := w.uses.list(path)
	for _, f := range files {
		s, _ := stampOf(f)
		stamps = append(stamps, s)
	}
	return stamps, nil
}

func (w *watch) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	often, every := time.NewTicker(lookOften), time.NewTicker(w.every)
	defer often.Stop()
	defer every.Stop()
	w.lookAtMissing()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-w.errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.watchNothing(err)
			}
			w.look() // events were lost
			timer.Reset(Quiet)
		case event := <-w.events:
			// The timer runs while anything is pending: an event that moved it on would
			// have the other files wait for this one.
			idle := len(w.pending) == 0
			if w.heed(event); idle {
				timer.Reset(Quiet)
			}
		case <-w.uses.more:
			w.look() // it was used before it was known
			timer.Reset(Quiet)
		case <-often.C:
			if w.lookAtMissing() {
				timer.Reset(0)
			}
		case <-every.C:
			w.look()
			timer.Reset(0)
		case <-timer.C:
			if next := w.settle(); next > 0 {
				timer.Reset(next)
			}
		}
	}
}

// dirs are the folders to watch: those that were named, those of single files, those
// of the files that a link in one of them leads to or a seed uses, and those that a seed uses.
func (w *watch) dirs() map[string]bool {
	dirs := map[string]bool{}
	for dir := range w.folders {
		dirs[dir] = true
	}
	for path := range w.files {
		dirs[filepath.Dir(path)] = true
	}
	for target := range w.links {
		dirs[filepath.Dir(target)] = true
	}
	for dir := range w.within {
		dirs[dir] = true
	}
	return dirs
}

// lookAtMissing looks through the folders that are not watched, and watches those that
// can be. It tells whether there were any.
func (w *watch) lookAtMissing() (any bool) {
	for dir := range w.dirs() {
		if _, ok := w.watched[dir]; ok {
			continue
		}
		any = true
		if at, err := placeOf(dir); w.notify != nil && err == nil {
			// By its real name: of one that is watched under several, events have one.
			if err := w.notify.Add(at.real); err == nil {
				w.watched[dir] = at
			} else if !errors.Is(err, fs.ErrNotExist) {
				w.blind(err)
			}
		}
		w.lookAt(dir)
	}
	return any
}

// blind says, once, that not everything can be watched.
func (w *watch) blind(err error) {
	if !w.saidBlind {
		w.saidBlind = true
		w.log.Warn("the system does not tell of changes in folders of seeds: they are looked through all the time",
			"every", lookOften, "error", err)
	}
}

// watchNothing ends all watching: who tells of changes may have stopped for good.
func (w *watch) watchNothing(err error) {
	w.notify, w.events, w.errors = nil, nil, nil
	clear(w.watched)
	w.blind(err)
}

// look looks through everything. A folder that is not the one any more that was
// watched, since a link leads elsewhere or a disk was mounted there, is watched anew,
// and one that no link leads to is not.
func (w *watch) look() {
	w.follow()
	dirs := w.dirs()
	for dir, was := range w.watched {
		now, err := placeOf(dir)
		if w.notify != nil && (!dirs[dir] || err != nil || !os.SameFile(was.info, now.info)) {
			w.leave(dir)
		}
	}
	for dir := range dirs {
		w.lookAt(dir)
	}
}

// lookAt compares the files of a folder with what was seen of them.
func (w *watch) lookAt(dir string) {
	there := map[string]bool{}
	if w.folders[dir] {
		entries, _ := os.ReadDir(dir) // of one that cannot be read, the files are gone
		for _, e := range entries {
			if !e.IsDir() && Eligible(e.Name()) {
				there[filepath.Join(dir, e.Name())] = true
			}
		}
	}
	for path := range w.files {
		if filepath.Dir(path) == dir {
			there[path] = true
		}
	}
	for path := range w.seen {
		if filepath.Dir(path) == dir {
			there[path] = true
		}
	}
	for path := range there {
		now, err := w.stampsOf(path)
		before, known := w.seen[path]
		if known != (err == nil) || known && !slices.EqualFunc(now, before, stamp.same) {
			w.pend(path, 0)
		}
	}
}

// leave watches a folder no longer.
func (w *watch) leave(dir string) {
	real := w.watched[dir].real
	delete(w.watched, dir)
	for _, at := range w.watched {
		if at.real == real {
			return
		}
	}
	w.notify.Remove(real) // of one that was removed there is none
}

// follow finds out which files are links, and where they lead, and what they use.
func (w *watch) follow() {
	clear(w.links)
	clear(w.within)
	for path := range w.seen {
		w.followOne(path)
	}
}

// followOne is follow for one file.
func (w *watch) followOne(path string) {
	// What is behind a folder that is a link is watched as what is in it.
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		lead(w.links, path, path)
	}
	files, folders := w.uses.list(path)
	for _, f := range files {
		lead(w.links, f, path)
	}
	for _, f := range folders {
		lead(w.within, f, path)
	}
}

// lead notes that what target leads to is a part of path. What is not there is looked for.
func lead(from map[string][]string, target, path string) {
	real, err := realPath(target)
	if err == nil && !slices.Contains(from[real], path) {
		from[real] = append(from[real], path)
	}
}

// pend has a file looked at after a while, unless it is to be sooner or is written to
// just now.
func (w *watch) pend(path string, wait time.Duration) {
	if _, ok := w.pending[path]; !ok || wait > 0 {
		w.pending[path] = time.Now().Add(wait)
	}
}

// heed takes one event, whose name is a real one.
func (w *watch) heed(event fsnotify.Event) {
	real := filepath.Clean(event.Name)
	for _, path := range slices.Concat(w.links[real], w.within[filepath.Dir(real)]) {
		w.pend(path, Quiet)
	}
	base := filepath.Base(real)
	for dir, at := range w.watched {
		path := filepath.Join(dir, base)
		switch {
		case at.real == real && event.Has(fsnotify.Remove|fsnotify.Rename):
			w.leave(dir)
			w.lookAt(dir)
		case at.real != filepath.Dir(real):
		case w.files[path], w.folders[dir] && Eligible(base):
			w.pend(path, Quiet)
		}
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
		if seen, err := w.stampsOf(path); err == nil {
			w.seen[path] = seen
			w.followOne(path)
		} else {
			delete(w.seen, path)
		}
		w.changed(path)
	}
	return next
}
