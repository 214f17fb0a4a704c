package inject

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// A taker makes packets of files.
type taker struct {
	finder
	tally
	into Injector
	late late
	// heldUp: the network was full for so long that files in hand were given back.
	heldUp bool
	// held is why files wait that could not be moved away, by where to; at most maxHeld.
	held map[string]string
	// blind: it was said that nothing tells who writes to a file.
	blind bool
}

// lock opens a file and locks it, so that of several nodes that watch a
// folder one takes it. The lock goes with the file's closing.
func (f *taker) lock(name string) (*os.File, error) {
	file, err := f.open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, errAway // or its folder is
	}
	if err != nil {
		return nil, err
	}
	if f.memory != nil {
		return file, nil // each node that watches it has it
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		file.Close() // only opened
		return nil, errBusy
	}
	// Any other error is a file system's that has no locks: go on without.
	opened, err := file.Stat()
	if err == nil {
		var named fs.FileInfo
		if named, err = os.Lstat(f.path(name)); err == nil && !os.SameFile(opened, named) || errors.Is(err, fs.ErrNotExist) {
			err = errAway // who held the lock before has moved it
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// claim is [taker.lock] for a file that no program has open for writing.
func (f *taker) claim(name string) (*os.File, error) {
	file, err := f.lock(name)
	if err == nil && f.written(file) {
		file.Close() // only opened
		return nil, errBusy
	}
	return file, err
}

// written tells whether a program has the file open for writing, as far as the
// system tells; that it does not is said once.
func (f *taker) written(file *os.File) bool {
	is, err := written(file)
	if err != nil && !f.blind {
		f.blind = true
		f.cfg.Log.Warn("the system does not tell whether a program still writes to a file: one that has not changed for a while counts as complete; --rx-quiet sets how long",
			"folder", f.cfg.Dir, "quiet", f.cfg.Quiet, "error", err)
	}
	return is
}

// examine is what a file is now.
func (f *taker) examine(file *os.File, name string) (stat, error) {
	info, err := file.Stat()
	if err != nil {
		return stat{}, refusal{err}
	}
	l := statOf(name, info)
	if !l.mode.IsRegular() {
		return l, refusal{errors.New("it is not a regular file")}
	}
	if f.cfg.State == "" && l.size > f.cfg.MaxSize {
		return l, refusal{fmt.Errorf("it has %d bytes; at most %d are taken", l.size, f.cfg.MaxSize)}
	}
	return l, nil
}

// A steady reads a file that nobody writes meanwhile: else it ends with
// errBusy.
type steady struct {
	file    *os.File
	stat    stat
	written func(*os.File) bool
	n       int64
}

func (s *steady) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.n += int64(n)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, refusal{fmt.Errorf("it cannot be read: %w", reason(err))}
	}
	info, err := s.file.Stat()
	if err != nil {
		return n, refusal{err}
	}
	// What was written until it was looked at shows there. Who has it open still is
	// not done with it.
	if statOf(s.stat.name, info) != s.stat || s.n != s.stat.size || s.written(s.file) {
		return n, errBusy
	}
	return n, io.EOF
}
