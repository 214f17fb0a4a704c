// Package inject brings packets into a network without a seed: from the files of
// a folder, and from a stream of lines.
package inject

import (
	"context"
	"io"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// An Injector takes packets into a network.
type Injector interface {
	// Inject takes p, a root that has an id and a state; whatever of its
	// Ship is zero is for the Injector to fill in. It returns once p is
	// taken, which may be long when the network is full: this is the
	// back-pressure. A state that nobody accepts is no error, the packet
	// waits. An error that is [packet.ErrTooLarge] or [packet.ErrTooLong] refuses
	// this packet; any other says that no more is taken: ctx ended, or the network
	// did.
	Inject(ctx context.Context, p packet.Packet) error
	// InjectData is Inject for a packet whose data r gives, of that size in
	// bytes. An error of r is returned as it is. Records are stored with the packet.
	InjectData(ctx context.Context, p packet.Packet, r io.Reader, size int64, with ...store.Record) error
	// Batch begins to take small packets together.
	Batch() Batch
}

// A Batch takes packets that go to the disk at a time.
type Batch interface {
	// Put is [Injector.Inject], but returns before the packet is safe. Records are stored
	// with the packet.
	Put(ctx context.Context, p packet.Packet, with ...store.Record) error
	// Flush returns when all that was put is. After an error some may be: when ctx has ended,
	// what is not safe by then never will be.
	Flush(ctx context.Context) error
	// Stored tells, after a Flush that failed, whether the packet of that id is safe.
	Stored(ctx context.Context, id packet.ID) (bool, error)
}
