// Package blob keeps the data of large packets as files beside a node's
// frames, each under the SHA-256 of its content, so that the same data lies
// there once. A blob is on the disk before its name is given out, and it is
// removed when nobody holds it any more.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Config says where blobs lie.
type Config struct {
	// Dir is the folder of the blobs, made when the first comes. "" means a
	// new one in the system's temporary folder, removed by Close.
	Dir string
	// Sync has a blob on the disk before its name is given out.
	Sync bool
}

// A Store keeps blobs. It is safe for concurrent use.
type Store struct {
	cfg Config

	mu      sync.Mutex
	dir     string // "" until it is made
	holds   map[packet.Sum]int
	filling map[string]bool // files of blobs that have no name yet
	ready   bool            // holds counts what an earlier process left as well
}

var _ store.Blobs = (*Store)(nil)

// Open makes a store of blobs. What an earlier process left in its folder is
// kept until [Store.Sweep].
func Open(cfg Config) *Store {
	return &Store{cfg: cfg, holds: map[packet.Sum]int{}, filling: map[string]bool{}}
}

// Put stores what r gives, at most limit bytes, and holds it once.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error) {
	dir, err := s.folder()
	if err != nil {
		return packet.Blob{}, fmt.Errorf("a folder for large data: %w: %w", store.ErrBroken, err)
	}
	file, err := s.create(dir)
	if err != nil {
		return packet.Blob{}, fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
	}
	defer s.filled(file.Name())
	b, err := s.fill(ctx, file, r, limit)
	if err != nil {
		return packet.Blob{}, errors.Join(err, os.Remove(file.Name()))
	}
	return b, nil
}

// create makes a file that Sweep leaves alone until it was filled.
func (s *Store) create(dir string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.CreateTemp(dir, "new-")
	if err == nil {
		s.filling[file.Name()] = true
	}
	return file, err
}

func (s *Store) filled(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.filling, path)
}

// fill writes a new file and gives it its name.
func (s *Store) fill(ctx context.Context, file *os.File, r io.Reader, limit int64) (packet.Blob, error) {
	hash := sha256.New()
	source := &reader{ctx: ctx, r: io.TeeReader(io.LimitReader(r, limit+1), hash)}
	n, err := io.Copy(file, source)
	switch {
	case source.err != nil: // not the disk's fault
		err = source.err
	case err != nil:
		err = fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
	case n > limit:
		err = fmt.Errorf("%w: more than %d bytes; at most that many are allowed (--max-packet)", store.ErrTooLarge, limit)
	}
	if err == nil && s.cfg.Sync {
		if err = file.Sync(); err != nil {
			err = fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
		}
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return packet.Blob{}, err
	}
	b := packet.Blob{Sum: packet.Sum(hash.Sum(nil)), Size: n}
	s.mu.Lock()
	defer s.mu.Unlock() // so that nobody removes the name meanwhile
	if err := s.rename(file.Name(), b.Sum); err != nil {
		return packet.Blob{}, fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
	}
	s.holds[b.Sum]++
	return b, nil
}

// A reader tells errors of the source from those of the disk.
type reader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// rename gives a blob its name; the caller holds the lock.
func (s *Store) rename(from string, sum packet.Sum) error {
	to := s.path(sum)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if !s.cfg.Sync {
		return nil
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(s.dir))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

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
		err = fmt.Errorf("large data %x has %d bytes on the disk; expected %d", b.Sum[:8], info.Size(), b.Size)
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
	if err := os.Remove(s.path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Any tells whether an earlier process left blobs.
func (s *Store) Any() (bool, error) {
	if s.cfg.Dir == "" {
		return false, nil
	}
	found := false
	err := filepath.WalkDir(s.cfg.Dir, func(_ string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // never made, or removed meanwhile
			return nil
		case err != nil || d.IsDir(): // the folders stay when they are empty
			return err
		}
		found = true
		return fs.SkipAll
	})
	return found, err
}

// Sweep removes what nobody holds. It is called once, when everything that an
// earlier process left and that still counts is held.
func (s *Store) Sweep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	if s.cfg.Dir == "" {
		return nil
	}
	return filepath.WalkDir(s.cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || s.filling[path] {
			return err
		}
		sum, err := hex.DecodeString(filepath.Base(filepath.Dir(path)) + filepath.Base(path))
		if err == nil && len(sum) == sha256.Size && s.holds[packet.Sum(sum)] > 0 {
			return nil
		}
		return os.Remove(path)
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
