// Package folder is a node's data folder: who may use it, what it remembers,
// and which one a starting node takes. Folders are <data>/<group>/<number>.
package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/recap/pumpkin/internal/hold"
)

// What is in a data folder beside its description.
const (
	StoreDir   = "store"   // the store's files
	BlobsDir   = "blobs"   // large data
	DamagedDir = "damaged" // what could not be read
	SeedsDir   = "seeds"   // the files of seeds that run, as they were when they were loaded
)

// A Folder is a data folder that this process has.
type Folder struct {
	Dir  string
	Node Node
	// Moved says that the folder may be a copy of that in which its node ran last: it is another
	// folder, or of another machine, or the machine was booted since.
	Moved  bool
	unlock func() error
	claim  *hold.Claim
}

// Open makes the folder if need be, takes it for this process alone, and reads what it is.
// first describes the node when this is the folder's first start: its version and
// time are set, and a StoreSize of 0 becomes a tenth of what the disk has
// free. A process that was killed may have left the folder: then it takes some seconds to see
// that it has ended, unless it ran on this machine; report, unless nil, is told so.
func Open(ctx context.Context, dir string, first Node, report func(string)) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the data folder: %w", err)
	}
	var unlock func() error
	for range tries {
		if err := usable(dir); err != nil {
			return nil, err
		}
		if unlock, err = Lock(dir); !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, unlock: unlock}
	if f.claim, err = hold.Take(ctx, dir, report); err != nil {
		_ = unlock() // the first error says more
		if used := (*hold.UsedError)(nil); errors.As(err, &used) {
			return nil, &InUseError{Dir: dir, PID: used.PID, Host: used.Host}
		}
		return nil, fmt.Errorf("take the folder %s: %w; choose another with --data DIR", dir, access(err))
	}
	if err := f.describe(first); err != nil {
		_ = f.Close() // likewise
		return nil, err
	}
	return f, nil
}

// tries is how often a folder is made that goes away before it is locked:
// another node may just be removing it.
const tries = 10

// describe reads the folder's description, or writes the first one. What it does not say
// yet is written there, and so is another machine that it is on now.
func (f *Folder) describe(first Node) error {
	node, err := ReadNode(f.Dir)
	if err == nil {
		if err := node.mismatch(f.Dir, &first); err != nil {
			return err
		}
		f.Node = node
		f.Node.Key = cmp.Or(node.Key, first.Key)
		f.Node.Machine = cmp.Or(first.Machine, node.Machine)
		f.Node.Place = place(f.Dir)
		f.Moved = f.Node.Place == "" || f.Node.Place != node.Place
		if f.Node != node {
			_ = writeNode(f.Dir, f.Node) // on a full disk the next start does
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	first.Version, first.Created = nodeVersion, time.Now().UTC().Truncate(time.Second)
	if first.StoreSize == 0 {
		free, _, err := Free(f.Dir)
		if err != nil {
			return err
		}
		first.StoreSize = free / 10
	}
	first.Place = place(f.Dir)
	f.Node = first
	return writeNode(f.Dir, first)
}

// Lost is closed when another process has taken the folder over, which [ErrTaken] explains:
// nothing is to be written to it any more.
func (f *Folder) Lost() <-chan struct{} { return f.claim.Lost() }

// Close gives the folder back.
func (f *Folder) Close() error { return errors.Join(f.claim.Release(), f.unlock()) }

// usable makes the folder, or says why it cannot be one of ours.
func usable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := MakeDir(dir); err != nil {
			return fmt.Errorf("make the data folder %s: %w; choose another with --data DIR", dir, access(err))
		}
		return nil
	case err != nil:
		return fmt.Errorf("the data folder %s: %w; choose another with --data DIR", dir, access(err))
	case !info.IsDir():
		return fmt.Errorf("the data folder %s: %w; remove it, or choose another with --data DIR", dir, ErrNotFolder)
	}
	if err := checkOwner(dir, info); err != nil {
		return err
	}
	return nil
}
