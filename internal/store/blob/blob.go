// Package blob keeps the data of large packets as files beside a node's
// frames, each under the SHA-256 of its content, so that the same data is
// stored once. A blob is on the disk before its name is given out, and it is
// removed when nobody holds it any more. Where the disk is full, whoever
// stores one waits, as with frames.
package blob

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/packet"
)

// Config says where blobs lie.
type Config struct {
	// Dir is the folder of the blobs, made when the first comes. "" means a
	// new one in the system's temporary folder, removed by Close.
	Dir string
	// Sync has a blob on the disk before its name is given out.
	Sync bool
	// Disk is what is known of the disk that Dir lies on; the store of the
	// frames has the same. nil is one that only these blobs have.
	Disk *disk.Disk
}

// A Store keeps blobs. It is safe for concurrent use.
type Store struct {
	cfg Config

	mu      sync.Mutex
	dir     string // "" until it is made
	holds   map[packet.Sum]int
	filling map[string]bool     // files of blobs that have no name yet
	ready   bool                // holds counts what an earlier process left as well
	counted bool                // used counts what an earlier process left as well
	left    bool                // it left anything
	staying int                 // how many have asked that no blob is removed
	unused  map[packet.Sum]bool // blobs that are to be removed when none has

	used atomic.Int64 // bytes of all files
}

var _ store.Blobs = (*Store)(nil)

// Open makes a store of blobs. What an earlier process left in its folder is
// kept until [Store.Sweep].
func Open(cfg Config) *Store {
	if cfg.Disk == nil {
		cfg.Disk = disk.New(disk.Config{Dir: cmp.Or(cfg.Dir, os.TempDir())})
		cfg.Disk.Opened()
	}
	return &Store{cfg: cfg, holds: map[packet.Sum]int{}, filling: map[string]bool{}}
}

// Used is how many bytes the blobs take, those included that are being written.
// What an earlier process left counts from the first call of Any, Sweep or Put
// on.
func (s *Store) Used() int64 { return s.used.Load() }

// folder is where the blobs lie; it is made if need be.
func (s *Store) folder() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		return s.dir, nil
	}
	dir := s.cfg.Dir
	if dir == "" {
		made, err := os.MkdirTemp("", "pmk-blobs-")
		if err != nil {
			return "", err
		}
		dir = made
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if s.cfg.Sync {
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return "", err
		}
	}
	s.dir = dir
	return dir, nil
}

// path is where a blob lies. 256 folders keep each of them small.
func (s *Store) path(sum packet.Sum) string {
	name := hex.EncodeToString(sum[:])
	dir := s.dir
	if dir == "" {
		dir = s.cfg.Dir
	}
	return filepath.Join(dir, name[:2], name[2:])
}

// Open reads a blob that somebody holds. Its size is checked here, its content
// by who reads it to the end through [packet.Verify].
func (s *Store) Open(b packet.Blob) (*os.File, error) {
	s.mu.Lock()
	path := s.path(b.Sum)
	s.mu.Unlock()
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("large data %x: %w", b.Sum[:8], err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != b.Size {
		err = fmt.Errorf("%w: %x has %d bytes on the disk; expected %d", packet.ErrDamagedBlob, b.Sum[:8], info.Size(), b.Size)
	}
	if err != nil {
		file.Close() // only read
		return nil, err
	}
	return file, nil
}

// Hold counts one more holder.
func (s *Store) Hold(sum packet.Sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds[sum]++
}

// Drop takes a holder off and removes the blob after the last.
func (s *Store) Drop(sum packet.Sum) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds[sum]--; s.holds[sum] > 0 {
		return nil
	}
	delete(s.holds, sum)
	if !s.ready && s.cfg.Dir != "" {
		return nil // a frame that was not looked at yet may name it
	}
	if s.staying > 0 {
		s.unused[sum] = true
		return nil
	}
	return s.remove(sum)
}

// Stay has no blob removed until release is called, once: what nobody holds by then
// goes at that time.
func (s *Store) Stay() (release func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staying++; s.unused == nil {
		s.unused = map[packet.Sum]bool{}
	}
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.staying--; s.staying > 0 {
			return nil
		}
		var failed error
		for sum := range s.unused {
			if s.holds[sum] == 0 {
				failed = errors.Join(failed, s.remove(sum))
			}
		}
		clear(s.unused)
		return failed
	}
}

// remove removes a blob; the caller holds the lock.
func (s *Store) remove(sum packet.Sum) error {
	bytes, err := size(s.path(sum))
	if err == nil {
		err = os.Remove(s.path(sum))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		s.used.Add(-bytes)
	}
	return err
}

// Any tells whether an earlier process left blobs.
func (s *Store) Any() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(); err != nil {
		return false, err
	}
	return s.left, nil
}

// count counts what an earlier process left, before this one stores anything.
// The caller holds the lock.
func (s *Store) count() error {
	if s.counted || s.cfg.Dir == "" {
		return nil
	}
	bytes, files := int64(0), 0
	err := s.walk(func(_ string, size int64) error {
		bytes, files = bytes+size, files+1
		return nil
	})
	if err != nil {
		return err
	}
	s.used.Add(bytes)
	s.counted, s.left = true, files > 0
	return nil
}

// walk shows every file. The folders stay when they are empty.
func (s *Store) walk(visit func(path string, size int64) error) error {
	return filepath.WalkDir(s.cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // never made, or removed meanwhile
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		n, err := size(path)
		if err != nil {
			return err
		}
		return visit(path, n)
	})
}

// Sweep removes what nobody holds. It is called once, when everything that an
// earlier process left and that still counts is held.
func (s *Store) Sweep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(); err != nil {
		return err
	}
	s.ready = true
	if s.cfg.Dir == "" {
		return nil
	}
	return s.walk(func(path string, size int64) error {
		if s.filling[path] {
			return nil
		}
		sum, err := hex.DecodeString(filepath.Base(filepath.Dir(path)) + filepath.Base(path))
		if err == nil && len(sum) == sha256.Size && s.holds[packet.Sum(sum)] > 0 {
			return nil
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		s.used.Add(-size)
		return nil
	})
}

// Close removes what was only for this process.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Dir != "" || s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
