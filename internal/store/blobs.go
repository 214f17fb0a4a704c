package store

import (
	"context"
	"io"
	"os"

	"github.com/recap/pumpkin/packet"
)

// Blobs keep the data of packets that is larger than [MaxInline]. They are safe
// for concurrent use. A blob lives as long as somebody holds it: a frame that
// names it, or a packet that is on its way.
type Blobs interface {
	// Put stores what r gives, at most limit bytes, and holds it once. It
	// returns when the blob is as safe as a frame would be. While the disk is
	// full or fails it waits, until ctx ends; the error then is ctx's and
	// ErrBroken, and nothing was stored.
	Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error)
	// Open reads a blob that somebody holds.
	Open(b packet.Blob) (*os.File, error)
	// Hold counts one more holder, Drop one less; the last one's removes it.
	Hold(sum packet.Sum)
	Drop(sum packet.Sum) error
	// Any tells whether an earlier process left blobs. Then all that frames
	// name are to be held, before Sweep removes the others.
	Any() (bool, error)
	Sweep() error
}

// A Naming store knows which large data its frames name: those that a process
// before this one has stored are held by it.
type Naming interface {
	Store
	// Blobs shows the large data that frames name, once for each frame.
	Blobs(ctx context.Context, visit func(packet.Sum)) error
}
