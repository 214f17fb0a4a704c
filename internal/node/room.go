package node

import (
	"context"
	"fmt"
	"io"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// boundedBlobs has large data wait for room in the store, beside whose frames it
// lies and counts: that which comes in, what seeds give and what peers bring.
type boundedBlobs struct {
	store.Blobs
	node *Node
}

// Put takes no more from r while there is no room for a descendant.
func (b boundedBlobs) Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error) {
	return b.Blobs.Put(ctx, &boundedReader{ctx: ctx, node: b.node, from: r, rank: store.Descendant}, limit)
}

// A boundedReader reads when the store has room for what is read.
type boundedReader struct {
	ctx  context.Context
	node *Node
	from io.Reader
	rank store.Rank
	// most, unless 0, is how much the whole store takes, and n how much was read: more
	// than that would wait for itself.
	most, n int64
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.most > 0 && r.n >= r.most {
		n, err := r.from.Read(p[:min(len(p), 1)])
		if n > 0 {
			err = fmt.Errorf("%w: more than %d bytes", store.ErrTooLarge, r.most)
		}
		return 0, err
	}
	if err := r.node.awaitRoom(r.ctx, 1, r.rank); err != nil {
		return 0, err
	}
	if left, bounded := left(r.node.store.State(), r.rank); bounded {
		p = p[:min(int64(len(p)), max(left, 1))]
	}
	n, err := r.from.Read(p)
	r.n += int64(n)
	return n, err
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
func (n *Node) awaitRoom(ctx context.Context, size int64, rank store.Rank) error {
	ends := n.running
	if rank == store.Root {
		ends = n.injecting
	}
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := n.room(size, rank)
		if err == nil {
			return nil
		}
		n.storeTrouble(err)
		if pause.For(ctx, wait) && ends.Err() == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return ErrDraining
	}
}

// room is why the store has none for so many bytes, or nil.
func (n *Node) room(size int64, rank store.Rank) error {
	st := n.store.State()
	if left, bounded := left(st, rank); st.Err == nil && bounded && size > left {
		return fmt.Errorf("%w: it has room for %d bytes, and %d more are to come", store.ErrFull, max(left, 0), size)
	}
	return st.Err
}
