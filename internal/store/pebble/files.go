package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Files are those of a store that no node has open: to check them, to save what
// can be read, or to move it elsewhere. They are not safe for concurrent use.
type Files struct {
	salvage
	dir string // the engine's

	failed error         // why the engine gave up
	gaveUp chan struct{} // closed then
	once   sync.Once
}

// A Found is one frame as it is stored.
type Found struct {
	Queue   store.Queue
	Number  uint64
	Packets int
	Since   time.Time
	Blobs   []packet.Sum
	Data    []byte // belongs to the caller
	// Due is when a delayed frame is to be free, and Delay what it was delayed
	// by when it was stored; zero for any other.
	Due   time.Time
	Delay time.Duration
}

// OpenFiles opens the files of the store in a data folder, which the caller has
// locked. Nothing of them is changed; damaged ones are opened as well, as far as
// they can be read. A folder without a store has no files: it is empty.
func OpenFiles(dir string) (*Files, error) {
	f := newFiles(dir)
	mended, damage, err := readLogs(vfs.Default, f.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("read the store: %w", err)
	}
	f.damage = damage
	if err := f.open(mended, true); err != nil {
		f.db = nil
		f.found(Damage{File: f.dir, What: "the store cannot be opened: " + reason(err)})
		return f, nil
	}
	f.tables()
	return f, nil
}

// OpenToMove is [OpenFiles] for who takes out what is there: see [Files.Remove].
// A damaged store is an error.
func OpenToMove(dir string) (*Files, error) {
	f := newFiles(dir)
	if _, err := os.Stat(f.dir); errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if _, damage, err := readLogs(vfs.Default, f.dir); err != nil || len(damage) > 0 {
		return nil, errors.Join(err, damagedFiles(damage))
	}
	if err := f.open(vfs.Default, false); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	f.tables()
	return f, nil
}

func newFiles(dir string) *Files {
	return &Files{dir: filepath.Join(dir, engineDir), gaveUp: make(chan struct{})}
}

func (f *Files) options(fs vfs.FS, readOnly bool) *engine.Options {
	opts := &engine.Options{
		FS: fs, ReadOnly: readOnly, CacheSize: cacheSize, MemTableSize: memTableSize, MemTableStopWritesThreshold: 4,
		MaxOpenFiles: maxOpenFiles, FormatMajorVersion: engine.FormatNewest, Logger: filesLog{f},
	}
	// Else the engine gives up where it finds damage.
	opts.EventListener = &engine.EventListener{DataCorruption: func(engine.DataCorruptionInfo) {}}
	return opts
}

// open opens the engine.
func (f *Files) open(fs vfs.FS, readOnly bool) error {
	done := make(chan error, 1)
	go func() { // ends, or stands still with an engine that gave up
		var err error
		f.db, err = engine.Open(f.dir, f.options(fs, readOnly))
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-f.gaveUp:
		return f.failed
	}
}

// filesLog is where the engine says what it does. What matters comes as errors.
type filesLog struct{ f *Files }

func (filesLog) Infof(string, ...any) {}

func (filesLog) Errorf(string, ...any) {}

// Fatalf ends what the engine cannot go on with, as [engineLog.Fatalf] does.
func (l filesLog) Fatalf(format string, args ...any) {
	l.f.once.Do(func() {
		l.f.failed = fmt.Errorf(format, args...)
		close(l.f.gaveUp)
	})
	select {}
}

// Close closes the files.
func (f *Files) Close() error {
	if f.db == nil {
		return nil
	}
	select {
	case <-f.gaveUp:
		return f.failed // an engine that has given up does not close
	default:
	}
	return f.db.Close()
}

// Damage is what was found damaged until now.
func (f *Files) Damage() []Damage { return f.damage }

// tables reads where the engine's tables begin and end.
func (f *Files) tables() {
	levels, err := f.db.SSTables()
	if err != nil {
		f.found(Damage{File: f.dir, What: err.Error()})
	}
	for _, level := range levels {
		for _, t := range level {
			f.bounds = append(f.bounds, bytes.Clone(t.Smallest.UserKey), append(bytes.Clone(t.Largest.UserKey), 0))
		}
	}
	slices.SortFunc(f.bounds, bytes.Compare)
}

// Frames shows every frame that can be read, queue by queue, oldest first, after
// the delayed ones, until visit returns an error.
func (f *Files) Frames(ctx context.Context, visit func(Found) error) error {
	return f.each(ctx, []byte{keyDelayed}, []byte{keyFrame + 1}, func(key, value []byte) error {
		switch key[0] {
		case keyDelayed:
			if found, ok := f.delayed(key, value); ok {
				return visit(found)
			}
		case keyFrame:
			if found, ok := f.frame(key, value); ok {
				return visit(found)
			}
		}
		return nil
	})
}

// Records shows the records of a table that can be read, those whose keys begin
// with prefix, until visit returns an error.
func (f *Files) Records(ctx context.Context, table store.Table, prefix string, visit func(store.Record) error) error {
	from := recordKey(store.Key{In: table, Key: prefix})
	return f.each(ctx, from, after(from), func(key, value []byte) error {
		if r, ok := f.record(key, value); ok {
			return visit(r)
		}
		return nil
	})
}

// Blobs shows the large data that frames name, each once, until visit returns an
// error.
func (f *Files) Blobs(ctx context.Context, visit func(packet.Sum) error) error {
	var last packet.Sum
	begun := false
	return f.each(ctx, []byte{keyBlob}, []byte{keyBlob + 1}, func(key, _ []byte) error {
		var sum packet.Sum
		if len(key) != 1+len(sum)+8 {
			return nil
		}
		copy(sum[:], key[1:])
		if begun && sum == last {
			return nil
		}
		begun, last = true, sum
		return visit(sum)
	})
}

// Remove takes frames and records out, in one transaction that waits for the
// disk.
func (f *Files) Remove(frames []Found, records []store.Key) error {
	b := f.db.NewBatch()
	changed := map[store.Queue]counts{}
	for i := range frames {
		if err := f.removeFrame(b, &frames[i], changed); err != nil {
			return fmt.Errorf("remove frame %d of %s: %w", frames[i].Number, frames[i].Queue, err)
		}
	}
	for q, c := range changed { // setting and deleting do not fail: they are in memory
		if c.frames == 0 {
			_ = b.Delete(queueKey(keyCount, q), nil)
			_ = b.Delete(queueKey(keyLeased, q), nil)
		} else {
			_ = b.Set(queueKey(keyCount, q), c.value(), nil)
		}
	}
	for _, k := range records {
		_ = b.Delete(recordKey(k), nil)
	}
	done := make(chan error, 1)
	go func() { // ends, or stands still with the engine
		done <- errors.Join(b.Commit(engine.Sync), b.Close())
	}()
	select {
	case err := <-done:
		return err
	case <-f.gaveUp:
		return f.failed
	}
}

func (f *Files) removeFrame(b *engine.Batch, found *Found, changed map[store.Queue]counts) error {
	q := found.Queue
	c, known := changed[q]
	if !known {
		value, done, err := f.db.Get(queueKey(keyCount, q))
		if err != nil {
			return err
		}
		c, err = parseCounts(value)
		if err = errors.Join(err, done.Close()); err != nil {
			return err
		}
	}
	c.frames--
	c.packets -= found.Packets
	c.bytes -= int64(len(found.Data))
	key := frameKey(nil, q, found.Number)
	if !found.Due.IsZero() {
		c.delayed--
		key = delayedKey(nil, found.Due.UnixNano(), found.Number)
	}
	changed[q] = c
	_ = b.SingleDelete(key, nil)
	for _, sum := range found.Blobs {
		_ = b.SingleDelete(blobKey(nil, sum, found.Number), nil)
	}
	return nil
}

// frame reads a frame, or notes that it is damaged.
func (f *Files) frame(key, value []byte) (Found, bool) {
	q, number, err := parseFrameKey(key)
	if err != nil {
		f.found(Damage{What: fmt.Sprintf("the key %q: %v", key, err)})
		return Found{}, false
	}
	fr, err := parseFrame(bytes.Clone(value))
	if err != nil {
		f.found(Damage{Queue: q, First: number, What: err.Error()})
		return Found{}, false
	}
	return Found{Queue: q, Number: number, Packets: fr.packets, Since: timeOf(fr.since), Blobs: fr.blobs, Data: fr.data}, true
}

// delayed reads a delayed frame, or notes that it is damaged.
func (f *Files) delayed(key, value []byte) (Found, bool) {
	d, err := parseDelayed(key, bytes.Clone(value))
	if err != nil {
		f.found(Damage{What: fmt.Sprintf("a delayed frame, the key %x: %v", key, err)})
		return Found{}, false
	}
	return Found{
		Queue: d.to, Number: d.number, Packets: d.frame.packets, Since: timeOf(d.frame.since), Blobs: d.frame.blobs, Data: d.frame.data,
		Due: timeOf(d.due), Delay: time.Duration(d.after),
	}, true
}

// record reads a record, or notes that it is damaged.
func (f *Files) record(key, value []byte) (store.Record, bool) {
	table, name, ok := bytes.Cut(key[1:], []byte{0})
	k := store.Key{In: store.Table(table), Key: string(name)}
	if err := k.Check(); !ok || err != nil || len(value) > store.MaxValue {
		f.found(Damage{What: fmt.Sprintf("a record, the key %q: %v", key, errLayout)})
		return store.Record{}, false
	}
	return store.Record{Key: k, Value: bytes.Clone(value)}, true
}
