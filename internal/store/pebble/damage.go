package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"

	"github.com/recap/pumpkin/internal/store"
)

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

// ErrDamaged is a store that does not open, since its files are not what was
// written. [Check] tells what can be read of them.
var ErrDamaged = errors.New("its files are damaged")

// damagedFiles is the error of damage that was found; nil for none.
func damagedFiles(found []Damage) error {
	if len(found) == 0 {
		return nil
	}
	lines := make([]string, len(found))
	for i, d := range found {
		lines[i] = d.String()
	}
	return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(lines, "; "))
}

// damaged marks an error of opening the engine that is none of the system.
func damaged(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && no != syscall.ENOENT {
		return err
	}
	line, _, _ := strings.Cut(err.Error(), "\n") // what follows is for the engine's makers
	return fmt.Errorf("%w: %s", ErrDamaged, line)
}

// damage are the lines about what is broken, bounded in number.
type damage struct {
	mu   sync.Mutex
	said []string
}

const maxDamage = 100

func (d *damage) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.said) < maxDamage {
		d.said = append(d.said, line)
	}
}

func (d *damage) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.said...)
}

// reason is an error without the path, which is said beside it.
func reason(err error) string {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // only that itself
		return e.Err.Error()
	}
	return err.Error()
}
