package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
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
	dir    string // the engine's
	db     *engine.DB
	bounds [][]byte // where its tables begin and end, in order
	damage []Damage

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

// Damage is one thing that is not as it was stored. What is not known of it is
// zero.
type Damage struct {
	File        string
	Queue       store.Queue
	First, Last uint64 // numbers of frames
	What        string

	certain bool // of a file: no power loss leaves it so
	torn    bool // of a log: a power loss may leave it so, and nobody relies on what was there
}

func (d Damage) String() string {
	where := d.File
	switch {
	case d.Queue != "" && d.First > 0 && d.Last > d.First:
		where = fmt.Sprintf("frames %d to %d of %s", d.First, d.Last, d.Queue)
	case d.Queue != "" && d.First > 0:
		where = fmt.Sprintf("frame %d of %s", d.First, d.Queue)
	case d.Queue != "":
		where = "queue " + string(d.Queue)
	}
	if where == "" {
		return d.What
	}
	return where + ": " + d.What
}

// OpenFiles opens the files of the store in a data folder, which the caller has
// locked. Nothing of them is changed; damaged ones are opened as well, as far as
// they can be read. A folder without a store has no files: it is empty.
func OpenFiles(dir string) (*Files, error) {
	f := &Files{dir: filepath.Join(dir, engineDir), gaveUp: make(chan struct{})}
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
	f := &Files{dir: filepath.Join(dir, engineDir), gaveUp: make(chan struct{})}
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

func (filesLog) Infof(string, ...any)  {}
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

func (f *Files) found(d Damage) { f.damage = append(f.damage, d) }

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
	go func() { done <- errors.Join(b.Commit(engine.Sync), b.Close()) }() // ends, or stands still with the engine
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

func parseFrameKey(key []byte) (store.Queue, uint64, error) {
	n := len(key) - 9
	if n < 2 || key[n] != 0 || store.Queue(key[1:n]).Check() != nil {
		return "", 0, errLayout
	}
	return store.Queue(key[1:n]), numberOf(key), nil
}

// each shows what is stored from one key to before another. What cannot be read
// is noted and left out.
func (f *Files) each(ctx context.Context, from, to []byte, visit func(key, value []byte) error) error {
	if f.db == nil {
		return ctx.Err()
	}
	for from != nil {
		next, err := f.eachUntil(ctx, from, to, visit)
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// eachUntil goes as far as can be read. next, unless nil, is where to go on.
func (f *Files) eachUntil(ctx context.Context, from, to []byte, visit func(key, value []byte) error) (next []byte, err error) {
	it, err := f.db.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		from = append(bytes.Clone(it.Key()), 0)
		if err = errors.Join(ctx.Err(), visit(it.Key(), it.Value())); err != nil {
			_ = it.Close() // the first error says more
			return nil, err
		}
	}
	failed := it.Error()
	_ = it.Close() // it gives the same
	if failed == nil || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	next = f.readable(from, to)
	f.found(unread(from, next, failed))
	return next, nil
}

// unread is what was not read from one key to another.
func unread(from, next []byte, why error) Damage {
	d := Damage{What: "cannot be read: " + reason(why)}
	q, number, err := parseFrameKey(bytes.TrimSuffix(from, []byte{0}))
	if err != nil {
		q, number, err = parseFrameKey(from)
	} else {
		number++ // the last that was read
	}
	if err == nil && from[0] == keyFrame {
		d.Queue, d.First = q, number
		if to, upTo, err := parseFrameKey(next); err == nil && to == q {
			d.Last = upTo - 1
			return d
		}
		d.What = fmt.Sprintf("frames from number %d on, and perhaps of the next queues: %s", number, d.What)
		d.First = 0
		return d
	}
	d.What = fmt.Sprintf("keys from %q to %q: %s", from, next, d.What)
	return d
}

// readable finds the first key from which on the store can be read again, behind
// a place that is damaged; nil if there is none before to.
func (f *Files) readable(from, to []byte) []byte {
	works := func(key []byte) ([]byte, bool) {
		it, err := f.db.NewIter(&engine.IterOptions{LowerBound: key, UpperBound: to})
		if err != nil {
			return nil, false
		}
		defer it.Close()
		if it.First() {
			return bytes.Clone(it.Key()), true
		}
		return nil, it.Error() == nil
	}
	// Behind the same queue's next frames, whose numbers are in order.
	if base, number := numbered(from); base != nil {
		behind := func(step uint64) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(base), number+step) }
		for step := uint64(1); number+step > number && step < 1<<62; step *= 2 {
			found, ok := works(behind(step))
			if !ok {
				continue
			}
			if found == nil || !bytes.HasPrefix(found, base) {
				break // the bounds of tables may be nearer
			}
			// Nearer: from step/2 it cannot be read, from step it can.
			for low, high := step/2, step; high-low > 1; {
				middle := low + (high-low)/2
				if key, ok := works(behind(middle)); ok {
					high, found = middle, key
				} else {
					low = middle
				}
			}
			return found
		}
	}
	end, found := to, []byte(nil)
	for _, bound := range f.bounds {
		if bytes.Compare(bound, from) <= 0 || to != nil && bytes.Compare(bound, to) >= 0 {
			continue
		}
		if key, ok := works(bound); ok {
			end, found = bound, key
			break
		}
	}
	// Nearer: from the one it cannot be read, from the other it can.
	for low, high := keyNumber(from), keyNumber(end); ; {
		middle := new(big.Int).Add(low, high)
		middle.Rsh(middle, 1)
		if middle.Cmp(low) == 0 {
			return found
		}
		if key, ok := works(middle.FillBytes(make([]byte, keyDigits))); ok {
			high = middle
			if key != nil {
				found = key
			}
		} else {
			low = middle
		}
	}
}

// keyDigits is how many bytes of keys are compared when what can be read is looked
// for.
const keyDigits = 64

// keyNumber is a number in the order of keys; that of no key is behind all.
func keyNumber(key []byte) *big.Int {
	digits := make([]byte, keyDigits)
	copy(digits, key)
	if key == nil {
		digits = bytes.Repeat([]byte{0xff}, keyDigits)
	}
	return new(big.Int).SetBytes(digits)
}

// numbered takes apart a key that ends with a number, perhaps with a zero behind.
func numbered(key []byte) (base []byte, number uint64) {
	if len(key) == 0 || key[0] != keyFrame {
		return nil, 0
	}
	for _, k := range [][]byte{key, bytes.TrimSuffix(key, []byte{0})} {
		if _, number, err := parseFrameKey(k); err == nil {
			return k[:len(k)-8], number
		}
	}
	return nil, 0
}
