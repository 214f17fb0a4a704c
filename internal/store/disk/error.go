package disk

import (
	"errors"
	"fmt"
	"syscall"
)

// A Problem is what a disk has.
type Problem int

const (
	// Full: no bytes are left. NoInodes: none are left for files. Quota: what
	// this user may have is used up.
	Full Problem = iota + 1
	NoInodes
	Quota
	// ReadOnly: it was mounted so, or became so after errors.
	ReadOnly
	// Failing: reading or writing fails.
	Failing
	// TooManyFiles: the process, or the system, has as many open as it may.
	TooManyFiles
	// Taken: another process has it.
	Taken
)

// full tells whether room makes it good.
func (p Problem) full() bool { return p == Full || p == NoInodes || p == Quota }

// An Error is why nothing can be written.
type Error struct {
	Problem Problem
	Dir     string
	// Lost tells that what was written and not yet synced may be lost: the
	// store has to be opened again.
	Lost bool
	Err  error // the system's
}

func (e *Error) Error() string {
	text := e.text()
	if e.Lost {
		text += "; start the node again when it works"
	}
	return text
}

func (e *Error) text() string {
	switch e.Problem {
	case Full:
		return fmt.Sprintf("the disk of %s is full", e.Dir)
	case NoInodes:
		return fmt.Sprintf("the disk of %s has no inodes left (df -i)", e.Dir)
	case Quota:
		return fmt.Sprintf("the quota of this user on %s is used up", e.Dir)
	case ReadOnly:
		return fmt.Sprintf("%s is read-only", e.Dir)
	case Taken:
		return fmt.Sprintf("%s is not this node's any more: %v", e.Dir, e.Err)
	case TooManyFiles:
		return fmt.Sprintf("no more files can be opened in %s (ulimit -n): %v", e.Dir, e.Err)
	}
	return fmt.Sprintf("the disk of %s gives errors: %v", e.Dir, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// problems are the errors of the system that a disk is to blame for.
var problems = map[syscall.Errno]Problem{
	syscall.ENOSPC: Full, syscall.EDQUOT: Quota, syscall.EROFS: ReadOnly,
	syscall.EIO: Failing, syscall.ENXIO: Failing, syscall.ENODEV: Failing, syscall.ESTALE: Failing, syscall.ETIMEDOUT: Failing,
	syscall.EMFILE: TooManyFiles, syscall.ENFILE: TooManyFiles,
}

// ofDisk tells whether an error is the disk's.
func ofDisk(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && problems[no] != 0
}

// ofFile tells whether an error that a file gave which is open, and is written
// or synced, is the disk's: all but those of a wrong call are.
func ofFile(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && no != syscall.EBADF && no != syscall.EINVAL
}

// explain says what an error means for the folder that was written.
func explain(dir string, err error) *Error {
	e := &Error{Problem: Failing, Dir: dir, Err: err}
	var no syscall.Errno
	if !errors.As(err, &no) || problems[no] == 0 {
		return e
	}
	e.Problem = problems[no]
	if e.Problem == Full && noInodes(dir) {
		e.Problem = NoInodes
	}
	return e
}
