package node

import (
	"context"
	"iter"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A found frame lies in the own store, and was looked at there without being leased.
type found struct {
	store.Stored
	at      store.Queue
	header  packet.FrameHeader
	packets []packet.Packet
}

const (
	// maxFrames is how many frames are taken from a store at a time.
	maxFrames = 16
	// maxLookFrames is how many are looked at at a time by who looks at many.
	maxLookFrames = 1024
)

// frames are those that lie in a queue, from that number on, oldest first, then the delayed
// ones, which have the number 0. Those that come or go meanwhile may or may not be among
// them; the store may be used between two. One that cannot be read is passed over: who
// leases it, or moves what waits, sets it aside.
func (s *ownStore) frames(ctx context.Context, at store.Queue, from uint64) iter.Seq2[*found, error] {
	return s.framesOr(ctx, at, from, func(store.Stored, error) {})
}

// movable are frames to be moved by the caller, who holds s.hands: one that cannot be read
// is set aside.
func (s *ownStore) movable(ctx context.Context, at store.Queue, from uint64) iter.Seq2[*found, error] {
	return s.framesOr(ctx, at, from, func(r store.Stored, err error) { s.damaged(at, &lookedAt{s.store, at, r}, err) })
}

// framesOr gives those that cannot be read to broken.
func (s *ownStore) framesOr(ctx context.Context, at store.Queue, from uint64, broken func(store.Stored, error)) iter.Seq2[*found, error] {
	return func(yield func(*found, error) bool) {
		give := func(r store.Stored) bool {
			header, ps, err := packet.ParseFrame(r.Data)
			if err != nil {
				broken(r, err)
				return true
			}
			return yield(&found{r, at, header, ps}, nil)
		}
		full := true
		for most := maxFrames; full; most = min(2*most, maxLookFrames) {
			var some []store.Stored // so that no look lasts while numbered ones are used
			more, bytes := true, 0
			full = false
			err := s.store.Look(ctx, at, from, func(r store.Stored) bool {
				switch {
				case r.Number == 0 && len(some) > 0: // the numbered ones first
					more = giveAll(some, give)
					from, some = some[len(some)-1].Number+1, nil
					more = more && give(r)
				case r.Number == 0:
					more = give(r)
				default:
					some = append(some, r)
					bytes += len(r.Data)
					full = len(some) == most || bytes >= store.MaxFrame
				}
				return more && !full
			})
			if len(some) > 0 {
				from = some[len(some)-1].Number + 1
				more = giveAll(some, give)
			}
			if !more || err != nil && !yield(nil, err) || err != nil {
				return
			}
		}
	}
}

func giveAll(some []store.Stored, give func(store.Stored) bool) bool {
	for _, r := range some {
		if !give(r) {
			return false
		}
	}
	return true
}

// A lookedAt frame stands for one that was looked at where a lease is asked for.
type lookedAt struct {
	store store.Store
	at    store.Queue
	store.Stored
}

func (f *lookedAt) Data() []byte    { return f.Stored.Data }
func (f *lookedAt) Number() uint64  { return f.Stored.Number }
func (f *lookedAt) Deliveries() int { return 1 }

// Ack takes the frame out of the store.
func (f *lookedAt) Ack() error {
	return f.store.Commit(context.Background(), &store.Tx{Remove: []store.Ref{{At: f.at, Number: f.Number()}}})
}

// Release leaves the frame where it is.
func (f *lookedAt) Release(time.Duration) error { return nil }
