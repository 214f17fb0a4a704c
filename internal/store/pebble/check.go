package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A Report is what a check found in the files of a store.
type Report struct {
	// Queues are what can be read, in the order of their names.
	Queues  []store.Count
	Records int
	Damage  []Damage
}

// Check reads all that is stored in the data folder, which the caller has
// locked, and changes nothing: the checksums of all its files, the layout of all
// it stores, and whether what it counts is there. verify is asked about each
// frame that can be read, since a store does not look into frames; its error is
// damage. nil asks nobody.
func Check(ctx context.Context, dir string, verify func(Found) error) (Report, error) {
	f, err := OpenFiles(dir)
	if err != nil {
		return Report{}, err
	}
	c := &checker{Files: f, verify: verify, found: map[store.Queue]*tally{}}
	err = c.check(ctx)
	r := Report{Damage: f.damage, Records: c.records}
	for q, t := range c.found {
		if t.frames > 0 {
			r.Queues = append(r.Queues, store.Count{Queue: q, Frames: t.frames, Packets: t.packets, Bytes: t.bytes, Since: timeOf(t.since)})
		}
	}
	slices.SortFunc(r.Queues, func(a, b store.Count) int { return strings.Compare(string(a.Queue), string(b.Queue)) })
	return r, errors.Join(err, f.Close())
}

// A checker compares what is stored with what is counted.
type checker struct {
	*Files
	verify  func(Found) error
	found   map[store.Queue]*tally
	records int
	blobs   int // that frames name
	named   int // of those that are noted
	highest uint64
	next    uint64
}

// A tally is what was found of one queue.
type tally struct {
	counts
	since  int64
	stored *counts // what the store counts
}

func (c *checker) tally(q store.Queue) *tally {
	t := c.found[q]
	if t == nil {
		t = &tally{}
		c.found[q] = t
	}
	return t
}

func (c *checker) check(ctx context.Context) error {
	if c.db == nil {
		return nil
	}
	if err := c.checkTables(ctx); err != nil {
		return err
	}
	if err := c.each(ctx, []byte{0}, nil, c.visit); err != nil {
		return err
	}
	if len(c.damage) > 0 {
		return nil // what is missing is known, and so is why
	}
	c.compare()
	if err := c.db.CheckLevels(nil); err != nil {
		c.Files.found(Damage{File: c.dir, What: reason(err)})
	}
	return nil
}

// checkTables checks the checksums of the engine's tables.
func (c *checker) checkTables(ctx context.Context) error {
	levels, err := c.db.SSTables()
	if err != nil {
		return err
	}
	for _, level := range levels {
		for _, t := range level {
			if err := ctx.Err(); err != nil {
				return err
			}
			path := filepath.Join(c.dir, fmt.Sprintf("%s.sst", t.BackingSSTNum))
			if err := checkTable(ctx, path); err != nil {
				c.Files.found(Damage{File: path, What: reason(err)})
			}
		}
	}
	return nil
}

// checkTable checks the checksums of one table.
func checkTable(ctx context.Context, path string) error {
	file, err := vfs.Default.Open(path)
	if err != nil {
		return err
	}
	from, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	opts := &engine.Options{}
	opts.EnsureDefaults()
	r, err := sstable.NewReader(ctx, from, opts.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, from.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// visit checks the layout of one key and its value.
func (c *checker) visit(key, value []byte) error {
	switch key[0] {
	case keyFrame:
		if found, ok := c.frame(key, value); ok {
			return c.checkFrame(found)
		}
	case keyDelayed:
		if found, ok := c.delayed(key, value); ok {
			c.tally(found.Queue).delayed++
			return c.checkFrame(found)
		}
	case keyCount:
		counted, err := parseCounts(value)
		if c.checkQueue(key, err) {
			c.tally(store.Queue(key[1:])).stored = &counted
		}
	case keyLeased:
		_, err := parseLeased(value)
		c.checkQueue(key, err)
	case keyBlob:
		if len(key) != 1+len(packet.Sum{})+8 || len(value) != 0 {
			c.Files.found(Damage{What: fmt.Sprintf("a note of large data, the key %x: %v", key, errLayout)})
		}
		c.named++
	case keyTable:
		if _, ok := c.record(key, value); ok {
			c.records++
		}
	default:
		if !bytes.Equal(key, keyNext) || len(value) != 8 {
			c.Files.found(Damage{What: fmt.Sprintf("the key %q: %v", key, errLayout)})
			return nil
		}
		c.next = binary.LittleEndian.Uint64(value)
	}
	return nil
}

// checkQueue says whether a key that ends with a queue's name and its value can
// be read.
func (c *checker) checkQueue(key []byte, err error) bool {
	if err = errors.Join(err, store.Queue(key[1:]).Check()); err != nil {
		c.Files.found(Damage{What: fmt.Sprintf("what is counted, the key %q: %v", key, err)})
	}
	return err == nil
}

// checkFrame checks a frame, and counts it.
func (c *checker) checkFrame(found Found) error {
	t := c.tally(found.Queue)
	t.frames++
	t.packets += found.Packets
	t.bytes += int64(len(found.Data))
	if since := found.Since.UnixNano(); t.since == 0 || since < t.since {
		t.since = since
	}
	if found.Due.IsZero() && (t.low == 0 || found.Number < t.low) {
		t.low = found.Number
	}
	c.highest = max(c.highest, found.Number)
	wrong := func(what string) {
		c.Files.found(Damage{Queue: found.Queue, First: found.Number, What: what})
	}
	for i, sum := range found.Blobs {
		if slices.Contains(found.Blobs[:i], sum) {
			continue // noted once
		}
		c.blobs++
		_, done, err := c.db.Get(blobKey(nil, sum, found.Number))
		if err != nil {
			wrong(fmt.Sprintf("large data %x, which it names, is not noted: %v", sum[:8], err))
			continue
		}
		_ = done.Close() // only read
	}
	if c.verify != nil {
		if err := c.verify(found); err != nil {
			wrong(err.Error())
		}
	}
	return nil
}

// compare compares what is there with what the store counts.
func (c *checker) compare() {
	for q, t := range c.found {
		switch {
		case t.stored == nil:
			c.Files.found(Damage{Queue: q, What: fmt.Sprintf("it has %d frames, which are not counted", t.frames)})
		case t.stored.frames != t.frames || t.stored.packets != t.packets || t.stored.bytes != t.bytes || t.stored.delayed != t.delayed:
			c.Files.found(Damage{Queue: q, What: fmt.Sprintf(
				"it has %d frames of %d packets and %d bytes, %d of them delayed; the store counts %d, %d, %d and %d",
				t.frames, t.packets, t.bytes, t.delayed, t.stored.frames, t.stored.packets, t.stored.bytes, t.stored.delayed)})
		case t.low > 0 && t.stored.low > t.low:
			c.Files.found(Damage{Queue: q, First: t.low, What: fmt.Sprintf("the store expects no frame below number %d", t.stored.low)})
		}
	}
	if c.blobs != c.named {
		c.Files.found(Damage{What: fmt.Sprintf("frames name large data %d times; it is noted %d times", c.blobs, c.named)})
	}
	if c.highest > 0 && c.highest >= c.next {
		c.Files.found(Damage{What: fmt.Sprintf("frame %d is there; the store expects none from number %d on", c.highest, c.next)})
	}
}
