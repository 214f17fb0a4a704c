package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The engine takes what it cannot read in its log, or in its manifest, for the
// end of what was written, unless a later block of the log says that more had
// been synced; what it says is often too little. So a flipped bit, or a file that
// was cut, would be a loss without a word. The store notes beside these files
// how far each of them had been synced, in the file SYNCED:
//
//	8 bytes   the number of the log, little endian
//	8 bytes   how many of its bytes had been synced
//	16 bytes  the same of the log before
//	16 bytes  the same of the manifest
//	4 bytes   a checksum of these
//
// It is written after each sync and synced only when it is made: a kill leaves it
// as it is, and a power loss perhaps an earlier one, which says less. What lies
// beyond it, where a power loss may have left anything, is no damage.
const (
	syncedFile = "SYNCED"
	syncedSize = 3*16 + 4
)

// An extent is how much of a file had been synced.
type extent struct{ number, bytes uint64 }

// A synced is what the note says; there is one if it is known.
type synced struct {
	known                 bool
	log, before, manifest extent
}

// of is what it says of a file.
func (s *synced) of(number uint64, manifest bool) extent {
	for _, e := range []extent{s.log, s.before} {
		if e.number == number && !manifest {
			return e
		}
	}
	if manifest && s.manifest.number == number {
		return s.manifest
	}
	return extent{}
}

func (s *synced) append(b []byte) []byte {
	from := len(b)
	for _, e := range []extent{s.log, s.before, s.manifest} {
		b = binary.LittleEndian.AppendUint64(b, e.number)
		b = binary.LittleEndian.AppendUint64(b, e.bytes)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

var errNote = errors.New("the note of what had been synced is not what was written")

// readSynced reads the note in the engine's folder. None is no error.
func readSynced(from vfs.FS, dir string) (s synced, err error) {
	data, err := readAll(from, filepath.Join(dir, syncedFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return synced{}, nil
	case err != nil:
		return synced{}, err
	case len(strings.Trim(string(data), "\x00")) == 0:
		return synced{}, nil // the power went before it got to the disk
	case len(data) < syncedSize:
		return synced{}, errNote
	}
	for i, e := range []*extent{&s.log, &s.before, &s.manifest} {
		e.number = binary.LittleEndian.Uint64(data[16*i:])
		e.bytes = binary.LittleEndian.Uint64(data[16*i+8:])
	}
	if !bytes.Equal(s.append(nil), data[:syncedSize]) {
		return synced{}, errNote
	}
	s.known = true
	return s, nil
}

func readAll(from vfs.FS, path string) ([]byte, error) {
	file, err := from.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

// A syncNote writes the note. Where it cannot be written it stays as it is, and
// says less.
type syncNote struct {
	fs   vfs.FS
	path string

	mu     sync.Mutex
	synced synced
	file   vfs.File // nil until it is open
	buf    [syncedSize]byte
}

// newSyncNote goes on with the note that is there.
func newSyncNote(on vfs.FS, dir string, was synced) *syncNote {
	return &syncNote{fs: on, path: filepath.Join(dir, syncedFile), synced: was}
}

// note notes that so much of a file was synced.
func (n *syncNote) note(manifest bool, to extent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &n.synced
	switch {
	case manifest && to.number >= s.manifest.number:
		s.manifest = to
	case manifest:
	case to.number > s.log.number:
		s.log, s.before = to, s.log
	case to.number == s.log.number:
		s.log = to
	case to.number == s.before.number:
		s.before = to // the end of a log is synced when the next has begun
	}
	_ = n.write() // an earlier note says less
}

// write writes the note. The caller holds the lock.
func (n *syncNote) write() error {
	if n.file == nil {
		file, err := n.fs.OpenReadWrite(n.path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		n.file = file
	}
	_, err := n.file.WriteAt(n.synced.append(n.buf[:0]), 0)
	return err
}

// begin has the disk know that there is a note.
func (n *syncNote) begin() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.synced.known {
		return nil
	}
	n.synced.known = true
	if err := n.write(); err != nil {
		return err
	}
	dir, err := n.fs.OpenDir(filepath.Dir(n.path))
	if err != nil {
		return err
	}
	return errors.Join(n.file.Sync(), dir.Sync(), dir.Close())
}

func (n *syncNote) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.file == nil {
		return nil
	}
	file := n.file
	n.file = nil
	return file.Close()
}

// A notedFS is a file system that notes how far logs and manifests were synced.
type notedFS struct {
	vfs.FS
	note *syncNote
}

// Create makes a file.
func (f *notedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return f.noted(name, file, err)
}

// ReuseForWrite makes a file of an earlier one.
func (f *notedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.noted(newname, file, err)
}

// Unwrap gives the file system below.
func (f *notedFS) Unwrap() vfs.FS { return f.FS }

func (f *notedFS) noted(name string, file vfs.File, err error) (vfs.File, error) {
	number, manifest, ok := parseName(filepath.Base(name))
	if err != nil || !ok {
		return file, err
	}
	return &notedFile{File: file, note: f.note, number: number, manifest: manifest}, nil
}

// parseName takes apart the name of a log or a manifest.
func parseName(name string) (number uint64, manifest, ok bool) {
	digits, isLog := strings.CutSuffix(name, ".log")
	if !isLog {
		if digits, manifest = strings.CutPrefix(name, "MANIFEST-"); !manifest {
			return 0, false, false
		}
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, manifest, err == nil
}

// A notedFile is a log or a manifest, which the engine writes from its beginning
// on, one call at a time.
type notedFile struct {
	vfs.File
	note     *syncNote
	number   uint64
	manifest bool
	size     uint64
}

func (f *notedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.size += uint64(n) //nolint:gosec // not negative
	return n, err
}

func (f *notedFile) Sync() error { return f.synced(f.File.Sync()) }

func (f *notedFile) SyncData() error { return f.synced(f.File.SyncData()) }

func (f *notedFile) synced(err error) error {
	if err == nil {
		f.note.note(f.manifest, extent{f.number, f.size})
	}
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
