package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A writer stores frames, in the own store or in that of a peer.
type writer struct {
	ownStore
	most func(store.Queue) int // packets that a frame of the queue may hold
	// landed is told of frames that lie in the own store since now.
	landed func([]*filling)
	// met is the peer of that name; nil while there is none.
	met func(name string) *peer
}

// write stores frames in the store of a peer, or, if that is nil, with tx in the own
// one. The frames that they come from hold the large data that is there already.
func (w *writer) write(into *peer, tx *store.Tx, frames []*filling, there map[packet.Sum]bool) error {
	if into != nil {
		return w.append(w.running, into, frames, there)
	}
	if err := w.commit(tx, frames); err != nil {
		return err
	}
	w.landed(frames)
	return nil
}

// append appends frames to a peer's store, with the large data of their packets.
func (w *writer) append(ctx context.Context, to *peer, frames []*filling, there map[packet.Sum]bool) error {
	for _, f := range frames {
		err := w.appendFrame(ctx, to, f, there)
		for errors.Is(err, mesh.ErrGone) {
			back := w.awaitBack(to)
			if back == nil {
				return err
			}
			to, there = back, nil // it may have let go of what it had
			err = w.appendFrame(ctx, to, f, there)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitBack waits until a peer that is gone is met again, for as long as its leases
// outlive that at the least: until then the runs that gave what is to be stored there
// are not repeated. nil is a peer that is not met, or the end of this node.
func (w *writer) awaitBack(p *peer) *peer {
	begun := w.clock.now()
	for wait := storePauses; ; {
		if back := w.met(p.name); back != nil && back != p && back.store != nil && back.safer == p.safer {
			return back
		}
		missed := cmp.Or(time.Duration(p.missed.Load()), begun)
		if w.clock.now()-missed > minOutlived || !wait.For(w.injecting) {
			return nil
		}
	}
}

func (w *writer) appendFrame(ctx context.Context, to *peer, f *filling, there map[packet.Sum]bool) error {
	var sent []packet.Blob
	defer func() {
		for _, b := range sent {
			if err := to.store.DropBlob(ctx, b); err != nil {
				w.log.Debug("letting go of large data in a peer's store", "node", to.name, "error", err)
			}
		}
	}()
	for i := range f.packets {
		b := f.packets[i].Blob
		if b == nil || there[b.Sum] {
			continue
		}
		if err := w.send(ctx, to, *b); err != nil {
			return fmt.Errorf("send large data to %s: %w", to.name, err)
		}
		sent = append(sent, *b)
	}
	a := f.encode()
	return to.store.Append(ctx, a.To, a.Frame)
}

func (w *writer) send(ctx context.Context, to *peer, b packet.Blob) error {
	file, err := w.blobs.Open(b)
	if err != nil {
		return err
	}
	defer file.Close() // only read
	return to.store.PutBlob(ctx, b, packet.Verify(b, file))
}

// commit does tx with these frames appended in the own store, and holds the
// large data that they name.
func (w *writer) commit(tx *store.Tx, frames []*filling) error {
	for _, f := range frames {
		tx.Append = append(tx.Append, f.encode())
		w.holdBlobs(f.packets)
	}
	began := w.clock.now()
	// What is ready when the node ends is stored all the same.
	err := w.store.Commit(context.Background(), tx)
	if tx.Durable {
		w.appends.add(w.clock.now() - began)
	}
	if err != nil && notStored(err) { // else it may have been; the next start finds out
		for _, f := range frames {
			w.dropBlobs(f.packets)
		}
	}
	return err
}

// notStored tells whether after this error nothing was stored.
func notStored(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrBroken) || errors.Is(err, store.ErrLapsed)
}
