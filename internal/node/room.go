package node

import (
	"context"
	"fmt"
	"io"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// boundedBlobs has large data wait for room in the store, beside whose frames it
// lies and counts: that which comes in, what seeds give and what peers bring.
type boundedBlobs struct {
	store.Blobs
	bound func(ctx context.Context, r io.Reader, rank store.Rank) io.Reader
}

// Put takes no more from r while there is no room for a descendant.
func (b boundedBlobs) Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error) {
	return b.Blobs.Put(ctx, b.bound(ctx, r, store.Descendant), limit)
}

// A boundedReader reads when the store has room for what is read.
type boundedReader struct {
	from  io.Reader
	await func() error                       // until there is room
	left  func() (bytes int64, bounded bool) // how much
	// most, unless 0, is how much the whole store takes, and n how much was read: more
	// than that would wait for itself.
	most, n int64
}

// bound is r, read as there is room in the store for data of that rank.
func (s *ownStore) bound(ctx context.Context, r io.Reader, rank store.Rank) io.Reader {
	most := int64(0)
	if rank == store.Root {
		most = s.store.State().Size
	}
	return &boundedReader{
		from: r, most: most,
		await: func() error { return s.awaitRoom(ctx, 1, rank) },
		left:  func() (int64, bool) { return left(s.store.State(), rank) },
	}
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.most > 0 && r.n >= r.most {
		n, err := r.from.Read(p[:min(len(p), 1)])
		if n > 0 {
			err = fmt.Errorf("%w: more than %d bytes", store.ErrTooLarge, r.most)
		}
		return 0, err
	}
	if err := r.await(); err != nil {
		return 0, err
	}
	if left, bounded := r.left(); bounded {
		p = p[:min(int64(len(p)), max(left, 1))]
	}
	n, err := r.from.Read(p)
	r.n += int64(n)
	return n, err
}

// boundBlobs has all large data wait for room.
func (s *ownStore) boundBlobs() {
	if s.cfg.Blobs != nil {
		s.blobs = boundedBlobs{s.cfg.Blobs, s.bound}
	}
}

// left is how many bytes a store still takes, and whether that is bounded.
func left(st store.State, rank store.Rank) (bytes int64, bounded bool) {
	most := st.Size
	if rank == store.Descendant {
		most += st.Reserve
	}
	return most - st.Used, st.Size > 0
}

// awaitRoom waits until the store has room for so many bytes of large data, at
// most until the node ends, and for a root only while the node takes any.
func (s *ownStore) awaitRoom(ctx context.Context, size int64, rank store.Rank) error {
	ends := s.running
	if rank == store.Root {
		ends = s.injecting
	}
	for wait := storePauses; ; {
		err := s.room(size, rank)
		if err == nil {
			return nil
		}
		s.storeTrouble(err)
		if wait.For(ctx) && ends.Err() == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return ErrDraining
	}
}

// room is why the store has none for so many bytes, or nil.
func (s *ownStore) room(size int64, rank store.Rank) error {
	st := s.store.State()
	if left, bounded := left(st, rank); st.Err == nil && bounded && size > left {
		return fmt.Errorf("%w: it has room for %d bytes, and %d more are to come", store.ErrFull, max(left, 0), size)
	}
	return st.Err
}
