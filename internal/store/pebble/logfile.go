package pebble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The engine reads its log up to the first record that is damaged, and takes
// damage at its end for an append that was cut off. Whoever checks or saves a
// store looks closer. A log consists of blocks of 32 KiB, and a block of chunks,
// each of which is a record or a part of one:
//
//	4 bytes   a checksum of all that follows
//	2 bytes   the length of the data
//	1 byte    which part it is: 1 all, 2 the first, 3 one in the middle, 4 the
//	          last; 5 to 8 and 9 to 12 the same, with more before the data
//	4 bytes   from 5 on: the number of the log; files are used again, and may
//	          end with chunks of an earlier log
//	8 bytes   from 9 on: how much of the log had been synced
//
// A log that was closed ends with a header of the next log's number.
const (
	logBlock     = 32 << 10
	logEnd       = 5
	logHeader    = 7
	logHeaderNum = 11
	logHeaderNew = 19
)

// A chunk is one part of a record.
type chunk struct {
	end    int // in the file
	data   []byte
	kind   int // 1 to 4
	bad    bool
	synced uint64 // how much of the log had been
}

// readChunk reads what is at that place of a log. ok is false where there is no
// chunk of this log; last says that the log ends there in order.
func readChunk(log []byte, at int, number uint32) (c chunk, ok, last bool) {
	left := log[at:min(len(log), (at/logBlock+1)*logBlock)]
	if len(left) < logHeader || left[6] == 0 || left[6] > 12 || left[6] > 4 && len(left) < logHeaderNum {
		return chunk{}, false, false
	}
	head, kind := logHeader, int(left[6])
	if kind > 4 {
		head = logHeaderNum
		switch n := binary.LittleEndian.Uint32(left[7:]); {
		case n == number+1 && kind == logEnd && binary.LittleEndian.Uint16(left[4:]) == 0:
			return chunk{}, false, true
		case n != number:
			return chunk{}, false, false
		}
	}
	if kind > 8 {
		head = logHeaderNew
		if len(left) < head {
			return chunk{}, false, false
		}
		c.synced = binary.LittleEndian.Uint64(left[11:])
	}
	length := int(binary.LittleEndian.Uint16(left[4:]))
	if head+length > len(left) {
		return chunk{}, false, false
	}
	c.end, c.data, c.kind = at+head+length, left[head:head+length], (kind-1)%4+1
	sum := crc32.Checksum(left[6:head+length], castagnoli)
	c.bad = binary.LittleEndian.Uint32(left) != (sum>>15|sum<<17)+0xa282ead8
	return c, true, false
}

// A logRead is what was read of a log, or of a manifest.
type logRead struct {
	records [][]byte // that can be read
	// damaged are places that cannot be read although the log goes on behind
	// them.
	damaged []int
	// end is where the log ends, or the first place that cannot be read, be it
	// for damage or because an append was cut off there.
	end int
	// synced is how much of the log had been synced, as far as it says so
	// itself.
	synced uint64
}

// readLog reads a log around what is damaged. A manifest is one with number 0.
func readLog(log []byte, number uint32) (r logRead) {
	var parts []byte
	begun := false // parts has the beginning of a record
	unread := -1   // a place that cannot be read, and nothing was read since
	r.end = -1
	skip := func(at int) {
		if unread < 0 {
			unread = at
		}
		if r.end < 0 {
			r.end = at
		}
		parts, begun = nil, false
	}
	at := 0
	for at < len(log) {
		c, ok, last := readChunk(log, at, number)
		next := (at/logBlock + 1) * logBlock
		switch {
		case last:
			if unread >= 0 || begun {
				r.damaged = append(r.damaged, max(unread, 0))
			}
			if r.end < 0 {
				r.end = at + logHeaderNum
			}
			return r
		case !ok && padding(log[at:min(next, len(log))]):
			at = next
			continue
		case !ok:
			skip(at)
			at = next
			continue
		case c.bad:
			skip(at)
			at = c.end
			continue
		}
		if unread >= 0 {
			r.damaged = append(r.damaged, unread)
			unread = -1
		}
		r.synced = max(r.synced, c.synced)
		switch c.kind {
		case 1:
			r.records, parts, begun = append(r.records, c.data), nil, false
		case 2:
			parts, begun = bytes.Clone(c.data), true
		case 3:
			parts = append(parts, c.data...)
		case 4:
			if begun {
				r.records = append(r.records, append(parts, c.data...))
			}
			parts, begun = nil, false
		}
		at = c.end
	}
	if r.end < 0 {
		r.end = min(at, len(log))
	}
	return r
}

// padding tells whether this is what is left at the end of a block that has no
// room for another chunk.
func padding(left []byte) bool {
	return len(left) < logHeaderNew && len(bytes.Trim(left, "\x00")) == 0
}

// A mendedFS is a file system in which damaged logs have the records that can be
// read. It writes nothing.
type mendedFS struct {
	vfs.FS
	logs map[string][]byte // by path
}

// Open opens a file.
func (m mendedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if log, ok := m.logs[name]; ok {
		return vfs.NewMemFile(log), nil
	}
	return m.FS.Open(name, opts...)
}

// readLogs reads the logs in a folder of the engine, and mends those that are
// damaged in the file system that it gives. What is damaged for certain, and what
// a power loss may have left so, is marked.
func readLogs(from vfs.FS, dir string) (vfs.FS, []Damage, error) {
	names, err := from.List(dir)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	l := &logReader{from: from, dir: dir, mended: mendedFS{from, map[string][]byte{}}}
	if l.note, err = readSynced(from, dir); err != nil {
		l.damage = append(l.damage, Damage{File: filepath.Join(dir, syncedFile), What: reason(err)})
	}
	if name := manifestOf(names); slices.Contains(names, name) {
		if number, manifest, ok := parseName(name); ok && manifest {
			if err := l.read(name, number, true); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, name := range names {
		number, manifest, ok := parseName(name)
		if !ok || manifest {
			continue
		}
		l.newest = max(l.newest, number)
		if number < l.least {
			continue // it waits to be used again
		}
		if err := l.read(name, number, false); err != nil {
			return nil, nil, err
		}
	}
	if l.newest < l.note.log.number {
		path := filepath.Join(dir, fmt.Sprintf("%06d.log", l.note.log.number))
		l.damage = append(l.damage, Damage{File: path, What: "it is missing", certain: true})
	}
	return l.mended, l.damage, nil
}

// A logReader reads the logs of one folder.
type logReader struct {
	from   vfs.FS
	dir    string
	note   synced
	newest uint64 // log
	least  uint64 // log that has what tables do not have
	mended mendedFS
	damage []Damage
}

func (l *logReader) read(name string, number uint64, manifest bool) error {
	path := filepath.Join(l.dir, name)
	found := func(certain bool, format string, args ...any) {
		l.damage = append(l.damage, Damage{File: path, What: fmt.Sprintf(format, args...), certain: certain})
	}
	data, err := readAll(l.from, path)
	if err != nil {
		found(true, "%s", reason(err))
		return nil
	}
	tag, what := uint32(number), "a record of the log cannot be read; it was a transaction or several, of any queues" //nolint:gosec // the low bits, as in the chunks
	if manifest {
		tag, what = 0, "a record of what tables there are cannot be read"
	}
	r := readLog(data, tag)
	proven := max(r.synced, l.note.of(number, manifest).bytes)
	lost := uint64(r.end) < proven //nolint:gosec // not negative
	if lost && !slices.Contains(r.damaged, r.end) {
		found(true, "at byte %d, what can be read ends; %d bytes had been written", r.end, proven)
	}
	for _, at := range r.damaged {
		found(lost && at == r.end, "at byte %d, %s", at, what)
		l.damage[len(l.damage)-1].torn = !lost && l.note.known
	}
	if manifest {
		for _, edit := range r.records {
			l.least = max(l.least, leastLog(edit))
		}
		return nil
	}
	if len(r.damaged) > 0 {
		if l.mended.logs[path], err = writeLog(r.records); err != nil {
			return err
		}
	}
	return nil
}

// manifestOf is the manifest that the engine reads: its name is in that of a file,
// marker.manifest.COUNT.NAME, and the highest count holds.
func manifestOf(names []string) (manifest string) {
	highest := uint64(0)
	for _, name := range names {
		count, value, ok := strings.Cut(strings.TrimPrefix(name, "marker.manifest."), ".")
		n, err := strconv.ParseUint(count, 10, 64)
		if ok && err == nil && strings.HasPrefix(name, "marker.manifest.") && n >= highest {
			highest, manifest = n, value
		}
	}
	return manifest
}

// leastLog is which log a record of a manifest says is the first that is needed;
// 0 if it does not say. It begins with numbers: 1, and a text with its length, if
// it names the order of keys; then 2 and the log, if that is another.
func leastLog(edit []byte) uint64 {
	r := reader{edit, nil}
	tag := r.number()
	if tag == 1 {
		if n := r.number(); n < uint64(len(r.left)) {
			r.left = r.left[n:]
			tag = r.number()
		}
	}
	if tag != 2 {
		return 0
	}
	return r.number()
}

// writeLog makes a log of the records.
func writeLog(records [][]byte) ([]byte, error) {
	var log bytes.Buffer
	w := record.NewWriter(&log)
	for _, r := range records {
		if _, err := w.WriteRecord(r); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return log.Bytes(), err
}
