package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/store/folder"
)

// A storage is the engine and what this process knows of what lies in it.
type storage struct {
	queues
	cfg   Config
	log   *slog.Logger
	db    *engine.DB
	cache *engine.Cache
	space *space
	clock clock
	note  *syncNote // nil in memory

	damage damage
	broken atomic.Pointer[error] // why the engine gave up
	gaveUp chan struct{}         // closed then

	ctx  context.Context // ends with Close
	stop context.CancelFunc
}

// openEngine opens Pebble.
func (s *storage) openEngine() error {
	fs, dir := s.cfg.FS, s.cfg.Dir
	switch {
	case s.memory:
		fs, dir = vfs.NewMem(), "/"
	case fs == nil:
		fs = vfs.Default
		if err := folder.MakeDir(filepath.Join(dir, engineDir)); err != nil {
			return err
		}
	}
	if !s.memory {
		var err error
		if fs, err = s.noted(fs, filepath.Join(dir, engineDir)); err != nil {
			return err
		}
	}
	s.cache = engine.NewCache(cacheSize)
	defer s.cache.Unref()
	opts := &engine.Options{
		FS: fs, Cache: s.cache, MemTableSize: memTableSize, MemTableStopWritesThreshold: 4,
		MaxOpenFiles: maxOpenFiles, FormatMajorVersion: engine.FormatNewest,
		DisableWAL: s.memory, Logger: engineLog{s},
	}
	// One compaction goes on at a time (the engine's default), and the next begins when it
	// ends or there is new work: nobody has to look ten times a second whether more are
	// allowed by now. The name says that the engine's own tests are without that look; it is
	// the same scheduler otherwise, and for one compaction at a time the look finds nothing.
	// With another number of them it does: then the scheduler has to be another.
	opts.Experimental.CompactionScheduler = engine.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	opts.EventListener = &engine.EventListener{
		BackgroundError: func(err error) { s.log.Warn("the storage engine failed in the background", "error", err) },
		DataCorruption: func(info engine.DataCorruptionInfo) {
			s.damage.add(fmt.Sprintf("%s: %v", info.Path, info.Details))
		},
	}
	db, err := engine.Open(filepath.Join(dir, engineDir), opts)
	if err != nil {
		return nameFile(fs, filepath.Join(dir, engineDir), damaged(err))
	}
	s.db = db
	if s.note != nil {
		if err := s.note.begin(); err != nil { // then damage of logs is harder to tell
			s.log.Debug("what is synced could not be noted", "error", err)
		}
	}
	return nil
}

// noted is the file system for the engine, which waits for the disk and notes
// what was synced. Before, it looks whether what had been is there.
func (s *storage) noted(inner vfs.FS, dir string) (vfs.FS, error) {
	_, found, err := readLogs(inner, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := damagedFiles(slices.DeleteFunc(slices.Clone(found), func(d Damage) bool { return !d.certain })); err != nil {
		return nil, err
	}
	for _, d := range found {
		if d.torn {
			s.log.Debug("the end of a log was cut off when the machine stopped", "file", d.File, "error", d.What)
			continue
		}
		s.damage.add(d.String())
		s.log.Warn("a file of the store is damaged", "file", d.File, "error", d.What)
	}
	was, _ := readSynced(inner, dir) // a damaged one was found above
	s.note = newSyncNote(inner, dir, was)
	return &notedFS{s.cfg.Disk.FS(inner), s.note}, nil
}

// nameFile adds to an error of opening the engine which files it may be about.
func nameFile(fs vfs.FS, dir string, err error) error {
	var why *disk.Error
	names, listErr := fs.List(dir)
	if errors.As(err, &why) || listErr != nil {
		return err
	}
	of := func(name string) bool {
		return strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "OPTIONS-")
	}
	if strings.Contains(err.Error(), "replaying WAL") {
		of = func(name string) bool { return strings.HasSuffix(name, ".log") }
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(name string) bool { return !of(name) })
	return fmt.Errorf("%w (%s)", err, strings.Join(names, ", "))
}

// trouble is why the store cannot be written; nil when it can.
func (s *storage) trouble() error {
	if err := s.broken.Load(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrBroken, *err)
	}
	if err := s.cfg.Disk.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrBroken, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	return nil
}

// unlessGivenUp does op, and returns when it is done or the engine has given up:
// then op may stand still for good.
func (s *storage) unlessGivenUp(op func() error) error {
	done := make(chan error, 1)
	go func() { done <- op() }()
	select {
	case err := <-done:
		return err
	case <-s.cfg.Disk.Stuck():
		s.fail(s.cfg.Disk.Err())
	case <-s.gaveUp:
	}
	return fmt.Errorf("%w: %w", store.ErrBroken, *s.broken.Load())
}

// fail notes why the engine cannot go on.
func (s *storage) fail(err error) {
	if s.broken.CompareAndSwap(nil, &err) {
		close(s.gaveUp)
		s.log.Error("the store cannot be written any more: repair or free the disk, then start the node again", "error", err)
	}
}

// engineLog is where Pebble says what it does.
type engineLog struct{ s *storage }

func (l engineLog) Infof(format string, args ...any) {}

func (l engineLog) Errorf(format string, args ...any) {
	l.s.log.Warn("the storage engine reports an error", "error", fmt.Sprintf(format, args...))
}

// Fatalf notes that the engine cannot go on. The goroutine stands still, so that
// nothing is written on top of what failed.
func (l engineLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
	select {}
}
