package inject

import (
	"errors"
	"io/fs"
)

// errGone says that the folder was removed, renamed, or cannot be listed.
var errGone = errors.New("removed or renamed")

// reason is what stands behind the operation and the path in err, where both
// are told already.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// errBusy says that a file is still being written, or that another process
// holds it.
var errBusy = errors.New("the file is in use")

// errKnown says that a file was taken before.
var errKnown = errors.New("the file was taken before")

// errAway says that another process has taken the file.
var errAway = errors.New("the file is gone")

// A refusal is what is wrong with a file.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// errHeldUp is a network that is full for so long that the files in hand are better given
// back: those of them that are taken would lie there all that time.
var errHeldUp = errors.New("the network is full")
