package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Put stores what r gives, at most limit bytes, and holds it once. While the
// disk is full or fails, it waits, until ctx ends; then the error is ctx's and
// that of the disk.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error) {
	file, err := s.create(ctx)
	if err != nil {
		return packet.Blob{}, fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
	}
	defer s.filled(file.Name())
	b, err := s.fill(ctx, file, r, limit)
	if err != nil {
		return packet.Blob{}, errors.Join(err, s.discard(file.Name(), b.Size))
	}
	return b, nil
}

// discard removes a file that could not be stored, if it has no name yet.
func (s *Store) discard(path string, size int64) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was dropped under its name
	}
	if err == nil {
		s.used.Add(-size)
	}
	return err
}

// create makes a file that Sweep leaves alone until it was filled.
func (s *Store) create(ctx context.Context) (file *os.File, err error) {
	err = s.cfg.Disk.Try(ctx, func() error {
		dir, err := s.folder()
		if err != nil {
			return fmt.Errorf("a folder for it: %w", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.count(); err != nil {
			return err
		}
		if file, err = os.CreateTemp(dir, "new-"); err == nil {
			s.filling[file.Name()] = true
		}
		return err
	})
	return file, err
}

func (s *Store) filled(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.filling, path)
}

// fill writes a new file and gives it its name. After an error, the size is
// what was written.
func (s *Store) fill(ctx context.Context, file *os.File, r io.Reader, limit int64) (packet.Blob, error) {
	hash := sha256.New()
	source := &reader{ctx: ctx, r: io.TeeReader(io.LimitReader(r, limit+1), hash)}
	n, err := io.Copy(&counter{s.cfg.Disk.Writer(ctx, file), &s.used}, source)
	switch {
	case source.err != nil: // not the disk's fault
		err = source.err
	case err != nil:
		err = fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
	case n > limit:
		err = fmt.Errorf("%w: more than %d bytes", store.ErrTooLarge, limit)
	}
	if err == nil && s.cfg.Sync {
		// Not tried again: what could not be written is lost.
		if err = file.Sync(); err != nil {
			err = fmt.Errorf("store large data: %w: %w", store.ErrBroken, s.cfg.Disk.Explain(err))
		}
	}
	b := packet.Blob{Size: n}
	if err := errors.Join(err, file.Close()); err != nil {
		return b, err
	}
	b.Sum = packet.Sum(hash.Sum(nil))
	if err := s.name(ctx, file.Name(), b); err != nil {
		return b, fmt.Errorf("store large data: %w: %w", store.ErrBroken, err)
	}
	return b, nil
}

// name gives a blob its name, and holds it once.
func (s *Store) name(ctx context.Context, file string, b packet.Blob) error {
	named := false
	err := s.cfg.Disk.Try(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock() // so that nobody removes the name meanwhile
		if !named {
			if err := s.rename(file, b.Sum); err != nil {
				return err
			}
			named = true
			s.holds[b.Sum]++
		}
		if !s.cfg.Sync {
			return nil
		}
		return errors.Join(syncDir(filepath.Dir(s.path(b.Sum))), syncDir(s.dir))
	})
	if err != nil && named {
		err = errors.Join(err, s.Drop(b.Sum))
	}
	return err
}

// A counter counts what is written.
type counter struct {
	w    io.Writer
	used *atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.used.Add(int64(n))
	return n, err
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

// rename gives a blob its name, under which the same content may lie already;
// the caller holds the lock.
func (s *Store) rename(from string, sum packet.Sum) error {
	to := s.path(sum)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	replaced, err := size(to)
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	s.used.Add(-replaced)
	return nil
}
