package store

import (
	"fmt"
	"time"

	"github.com/recap/pumpkin/packet"
)

// A Tx is a transaction: what changes together. A store that is not atomic
// does it in the order of these fields, and what Durable says after each, so
// that a transaction which was cut off repeats and loses nothing.
type Tx struct {
	// Append puts frames at the ends of queues, in this order.
	Append []Append
	// Put writes records, Delete removes them. No key stands in both.
	Put    []Record
	Delete []Key
	// Ack ends leases of this store and their frames.
	Ack []Lease
	// Remove takes frames out, whether they are leased or not. It is no
	// error if there is none.
	Remove []Ref
	// Clear takes all frames out of queues that nobody pulls from.
	Clear []Queue
	// Durable has Commit wait for the disk: somebody outside will be told of it. It
	// waits for what was committed before, too, so that a Tx which is only durable
	// does that for a run of others.
	Durable bool
}

// An Append puts one frame into one queue.
type Append struct {
	To Queue
	Frame
}

// A Frame is what is appended.
type Frame struct {
	Data []byte
	// Packets is how many packets the frame holds, 1 to [MaxPackets]; it is
	// what [Count] adds up.
	Packets int
	// Rank says how far into the reserve the frame may go.
	Rank Rank
	// After is how long the frame is delayed: until then nobody can lease it.
	// It is at most [MaxDelay].
	After time.Duration
	// Blobs is the large data that the frame names; see [Blobs].
	Blobs []packet.Sum
}

// MaxDelay is the longest that a frame can be delayed.
const MaxDelay = 30 * 24 * time.Hour

// The bounds of a frame. A packet whose data exceeds [MaxInline] is stored by
// reference, so that one packet always fits.
const (
	MaxPackets = 256
	MaxBytes   = 512 << 10 // packets are added to a frame while it is below
	MaxInline  = 256 << 10
	// MaxFrame is the most bytes that one frame may have.
	MaxFrame = 1 << 20
)

// A Rank says whose room a frame may take.
type Rank uint8

const (
	// Root frames come from outside. They are refused when the store's size
	// is reached.
	Root Rank = iota
	// Descendant frames are what runs gave, errors and moves. They may use
	// the reserve too, because they are what empties the store.
	Descendant
)

// Check says what is wrong with a transaction, before anything of it is done.
func (tx *Tx) Check() error {
	for i := range tx.Append {
		if err := tx.Append[i].check(); err != nil {
			return fmt.Errorf("append to %s: %w", tx.Append[i].To, err)
		}
	}
	for i := range tx.Put {
		if err := tx.Put[i].Check(); err != nil {
			return err
		}
		if n := len(tx.Put[i].Value); n > MaxValue {
			return fmt.Errorf("a record of %d bytes in the table %s; at most %d are allowed", n, tx.Put[i].In, MaxValue)
		}
	}
	for i := range tx.Delete {
		if err := tx.Delete[i].Check(); err != nil {
			return err
		}
	}
	for _, r := range tx.Remove {
		if err := r.At.Check(); err != nil {
			return fmt.Errorf("remove frame %d: %w", r.Number, err)
		}
	}
	for _, q := range tx.Clear {
		if err := q.Check(); err != nil {
			return fmt.Errorf("clear: %w", err)
		}
	}
	return nil
}

func (a *Append) check() error {
	if err := a.To.Check(); err != nil {
		return err
	}
	switch {
	case a.Packets < 1 || a.Packets > MaxPackets:
		return fmt.Errorf("a frame of %d packets; expected 1 to %d", a.Packets, MaxPackets)
	case len(a.Data) == 0 || len(a.Data) > MaxFrame:
		return fmt.Errorf("a frame of %d bytes; expected 1 to %d", len(a.Data), MaxFrame)
	case a.After < 0 || a.After > MaxDelay:
		return fmt.Errorf("a frame that is delayed for %v; expected 0 to %v", a.After, MaxDelay)
	case len(a.Blobs) > a.Packets:
		return fmt.Errorf("a frame of %d packets names %d pieces of large data; each packet has one at most", a.Packets, len(a.Blobs))
	}
	return nil
}
