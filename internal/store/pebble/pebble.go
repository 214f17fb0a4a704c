// Package pebble is the store that a node owns: the storage engine Pebble in
// the node's data folder or, for nodes that keep nothing, in memory.
//
// One write-ahead log serves all queues and tables, so one fsync does for all
// that was committed meanwhile. Commits form groups: while one group is
// applied, those who come gather for the next (see [Store.Commit]). What is
// stored lies in the engine; who has which frame is known to this process
// alone, since nobody else opens its folder (see [queue]). Frames that were
// appended last are also held in memory, up to a bound, so that a frame which
// is pulled soon is never read back.
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/store/folder"
)

// Config says how a store is opened.
type Config struct {
	// Dir is the node's data folder; the engine's own folder is below it. ""
	// is a store in memory: it survives the crash of a seed, not the end of
	// the node.
	Dir string
	// Size bounds the bytes that roots may take. 0 is no bound but what the
	// disk has.
	Size int64
	// Reserve is what descendants may take beyond that. 0 is a fifth of Size,
	// and on a disk at least 1 GiB.
	Reserve int64
	// Beside is how many bytes lie beside the frames and count towards Size:
	// large data. nil is none.
	Beside func() int64
	// Log gets what the store finds. nil is no log.
	Log *slog.Logger
	// Free is how many bytes are free where the store lies, and how many
	// there are in total. nil asks the file system.
	Free func() (free, total int64, err error)
	// FS is the file system; nil is that of Dir.
	FS vfs.FS
	// Disk decides what an error of the disk that Dir lies on means. Close
	// closes it. nil is one that only this store has.
	Disk *disk.Disk
	// Now is the time of day; nil is time.Now.
	Now func() time.Time
}

// engineDir is the engine's folder in the data folder.
const engineDir = folder.StoreDir

// A Store is a [store.Store] on Pebble. It is safe for concurrent use.
type Store struct {
	cfg   Config
	log   *slog.Logger
	db    *engine.DB
	cache *engine.Cache
	room  *room
	clock clock
	note  *syncNote // nil in memory

	// The writer; see commit.go.
	writer writer

	damage damage
	broken atomic.Pointer[error] // why the engine gave up
	gaveUp chan struct{}         // closed then

	stop      context.CancelFunc
	ctx       context.Context // ends with Close
	wg        sync.WaitGroup  // the goroutines that end with ctx
	reads     sync.WaitGroup  // reads under way; begun under mu while not closed
	due       chan struct{}   // has an element when the first delayed frame is another
	leasedNew chan struct{}   // has an element when a mark is to be written
	moving    sync.Mutex      // held while delayed frames are read and moved to their queues

	mu       sync.Mutex
	closed   bool
	queues   map[store.Queue]*queue // those with frames, or pulls that wait
	firstDue int64                  // of the delayed frames, or more
	held     int64                  // bytes of frames in memory that nobody has leased
	marked   map[*queue]bool        // whose mark is to be written

	closing sync.Once
	ended   error
}

var _ store.Naming = (*Store)(nil)

// Open opens the store in the folder, which nobody else may have open. What
// holders of an earlier process had leased is free again at once. While the
// disk is full it waits, until ctx ends.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s := &Store{
		cfg: cfg, log: cfg.Log, queues: map[store.Queue]*queue{}, marked: map[*queue]bool{},
		gaveUp: make(chan struct{}), due: make(chan struct{}, 1), leasedNew: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
	if s.cfg.Free == nil && cfg.Dir != "" && cfg.FS == nil {
		s.cfg.Free = func() (int64, int64, error) { return folder.Free(cfg.Dir) }
	}
	if s.cfg.Disk == nil {
		s.cfg.Disk = disk.New(disk.Config{Dir: cfg.Dir, Log: cfg.Log})
	}
	s.clock = newClock(s.cfg.Now)
	s.writer.store, s.writer.leaving = s, map[uint64]bool{}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.room = newRoom(s.cfg.Size, s.cfg.Reserve, s.cfg.Beside, s.cfg.Free, s.memory())
	waits := context.AfterFunc(ctx, func() {
		s.stop()
		s.cfg.Disk.Close()
	})
	err := s.unlessGivenUp(func() error {
		if err := s.openEngine(); err != nil {
			return err
		}
		if err := s.load(); err != nil {
			return errors.Join(damaged(err), s.db.Close())
		}
		return nil
	})
	if !waits() && err == nil {
		err = errors.Join(ctx.Err(), s.unlessGivenUp(func() error { return s.db.Close() }))
	}
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", s.cfg.Dir, err)
	}
	s.cfg.Disk.Opened()
	s.wg.Go(s.freeDelayed)
	s.wg.Go(s.writeMarks)
	return s, nil
}

func (s *Store) memory() bool { return s.cfg.Dir == "" && s.cfg.FS == nil }

const (
	cacheSize    = 8 << 20
	memTableSize = 8 << 20
	maxOpenFiles = 200
)

// openEngine opens Pebble.
func (s *Store) openEngine() error {
	fs, dir := s.cfg.FS, s.cfg.Dir
	switch {
	case s.memory():
		fs, dir = vfs.NewMem(), "/"
	case fs == nil:
		fs = vfs.Default
		if err := folder.MakeDir(filepath.Join(dir, engineDir)); err != nil {
			return err
		}
	}
	if !s.memory() {
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
		DisableWAL: s.memory(), Logger: engineLog{s},
	}
	// One compaction goes on at a time (the engine's default), and the next begins when it
	// ends or there is new work: nobody has to look ten times a second whether more are
	// allowed by now. The name says that the engine's own tests are without that look; it is
	// the same scheduler otherwise, and for one compaction at a time the look finds nothing.
	// With another number of them it does: then the scheduler has to be another.
	opts.Experimental.CompactionScheduler = engine.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	opts.EventListener = &engine.EventListener{
		BackgroundError: func(err error) { s.log.Warn("the storage engine", "error", err) },
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
			s.log.Debug("noting what is synced", "error", err)
		}
	}
	return nil
}

// noted is the file system for the engine, which waits for the disk and notes
// what was synced. Before, it looks whether what had been is there.
func (s *Store) noted(inner vfs.FS, dir string) (vfs.FS, error) {
	_, found, err := readLogs(inner, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := damagedFiles(slices.DeleteFunc(slices.Clone(found), func(d Damage) bool { return !d.certain })); err != nil {
		return nil, err
	}
	for _, d := range found {
		if d.torn {
			s.log.Debug("the end of what was written when the machine stopped", "where", d.String())
			continue
		}
		s.damage.add(d.String())
		s.log.Warn("in the store's files: " + d.String())
	}
	was, _ := readSynced(inner, dir) // a damaged one was found above
	s.note = newSyncNote(inner, dir, was)
	return &notedFS{s.cfg.Disk.FS(inner), s.note}, nil
}

// ErrDamaged is a store that does not open, since its files are not what was
// written. [Check] tells what can be read of them.
var ErrDamaged = errors.New("its files are damaged")

// damagedFiles is the error of damage that was found; nil for none.
func damagedFiles(found []Damage) error {
	if len(found) == 0 {
		return nil
	}
	lines := make([]string, len(found))
	for i, d := range found {
		lines[i] = d.String()
	}
	return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(lines, "; "))
}

// damaged marks an error of opening the engine that is none of the system.
func damaged(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && no != syscall.ENOENT {
		return err
	}
	line, _, _ := strings.Cut(err.Error(), "\n") // what follows is for the engine's makers
	return fmt.Errorf("%w: %s", ErrDamaged, line)
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

// Promise is what the store holds to.
func (s *Store) Promise() store.Promise {
	return store.Promise{Kill: !s.memory(), PowerLoss: !s.memory(), Atomic: true, Replicas: 1}
}

// State says how full the store is and whether it can be written.
func (s *Store) State() store.State {
	err := s.trouble()
	if err == nil {
		err = s.room.low()
	}
	return store.State{
		Used: s.room.amount(), Size: s.room.size, Reserve: s.room.reserve,
		Err: err, Damage: s.damage.lines(),
	}
}

// trouble is why the store cannot be written; nil when it can.
func (s *Store) trouble() error {
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

// Close gives all leases back and ends the store. Pulls that wait end, and
// commits that wait for the disk fail.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stop()
		s.cfg.Disk.Close()
		s.ended = s.unlessGivenUp(s.close)
		if s.broken.Load() != nil {
			s.end() // an engine that has given up does not close
		}
	})
	return s.ended
}

func (s *Store) close() error {
	s.wg.Wait()
	s.writer.close()
	s.end()
	s.reads.Wait()
	err := s.writeReturned()
	if !s.memory() {
		// What rots at the end of a log looks as if it had not been written to
		// its end; in a table it is found.
		err = errors.Join(err, s.db.Flush())
	}
	err = errors.Join(err, s.db.Close())
	if s.note != nil {
		err = errors.Join(err, s.note.close())
	}
	return err
}

// end has every call from now on fail.
func (s *Store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, q := range s.queues {
		q.end()
	}
}

// unlessGivenUp does op, and returns when it is done or the engine has given up:
// then op may stand still for good.
func (s *Store) unlessGivenUp(op func() error) error {
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
func (s *Store) fail(err error) {
	if s.broken.CompareAndSwap(nil, &err) {
		close(s.gaveUp)
		s.log.Error("the store cannot be written any more: repair or free the disk, then start the node again", "error", err)
	}
}

// engineLog is where Pebble says what it does.
type engineLog struct{ s *Store }

func (l engineLog) Infof(format string, args ...any) {}

func (l engineLog) Errorf(format string, args ...any) {
	l.s.log.Warn("the storage engine: " + fmt.Sprintf(format, args...))
}

// Fatalf notes that the engine cannot go on. The goroutine stands still, so that
// nothing is written on top of what failed.
func (l engineLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
	select {}
}

// damage are the lines about what is broken, bounded in number.
type damage struct {
	mu   sync.Mutex
	said []string
}

const maxDamage = 100

func (d *damage) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.said) < maxDamage {
		d.said = append(d.said, line)
	}
}

func (d *damage) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.said...)
}

// A clock is the time of day as it was when the store was opened, and goes on
// evenly from there.
type clock struct {
	base  time.Time // with its monotonic reading
	start int64     // nanoseconds since 1970
}

func newClock(now func() time.Time) clock {
	return clock{base: time.Now(), start: now().UnixNano()}
}

// now is in nanoseconds since 1970.
func (c clock) now() int64 { return c.start + int64(time.Since(c.base)) }

// InMemory is a store in memory; it always opens.
func InMemory(cfg Config) *Store {
	cfg.Dir, cfg.FS = "", nil
	s, err := Open(context.Background(), cfg)
	if err != nil {
		panic(fmt.Sprintf("a store in memory: %v", err)) // nothing of it can fail
	}
	return s
}
