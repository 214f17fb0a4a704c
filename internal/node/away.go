package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
)

// What goes between this node's store and a peer's: large data that lies beside
// the frames, both ways, and frames that belong there.

// fetch brings the large data that packets of a peer's frame name into the own
// store, and holds it. If some of it cannot be had, nothing is held.
func (n *Node) fetch(from *peer, ps []packet.Packet) error {
	for i := range ps {
		b := ps[i].Blob
		if b == nil || slices.Contains(blobsOf(ps[:i]), b.Sum) {
			continue
		}
		if err := n.fetchBlob(from, *b); err != nil {
			n.dropBlobs(ps[:i])
			return fmt.Errorf("packet %s: %w", ps[i].ID, err)
		}
	}
	return nil
}

func (n *Node) fetchBlob(from *peer, b packet.Blob) error {
	if n.blobs == nil {
		return errors.New("there is no place for large data here")
	}
	n.holdLeft()
	n.blobs.Hold(b.Sum)
	if file, err := n.blobs.Open(b); err == nil {
		return file.Close() // it is here already
	}
	n.drop([]packet.Sum{b.Sum})
	r, err := from.store.OpenBlob(n.running, b)
	if err != nil {
		return err
	}
	defer r.Close() // only read
	// What is too large for new packets here may pass all the same: it was let in
	// elsewhere.
	_, err = n.blobs.Put(n.running, packet.Verify(b, r), b.Size)
	return err
}

// appendFrames appends frames to the peer's store, with the large data of their
// packets; parts are what they come from, if that lies in that store as well.
func (p *peer) appendFrames(ctx context.Context, frames []*filling, parts []*part) error {
	there := map[packet.Sum]bool{} // what the frames that they come from hold there
	for _, part := range parts {
		for _, sum := range part.frame.blobs {
			there[sum] = true
		}
	}
	for _, f := range frames {
		err := p.appendFrame(ctx, f, there)
		for errors.Is(err, mesh.ErrGone) {
			back := p.awaitBack()
			if back == nil {
				return err
			}
			p = back
			err = p.appendFrame(ctx, f, there)
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
func (p *peer) awaitBack() *peer {
	n, begun := p.node, p.node.clock.now()
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		if back := n.peer(p.name); back != nil && back != p && back.store != nil && back.safer == p.safer {
			return back
		}
		missed := cmp.Or(time.Duration(p.missed.Load()), begun)
		if n.clock.now()-missed > minOutlived || !pause.For(n.injecting, wait) {
			return nil
		}
	}
}

func (p *peer) appendFrame(ctx context.Context, f *filling, there map[packet.Sum]bool) error {
	var sent []packet.Blob
	defer func() {
		for _, b := range sent {
			if err := p.store.DropBlob(ctx, b); err != nil {
				p.node.log.Debug("letting go of large data in a peer's store", "node", p.name, "error", err)
			}
		}
	}()
	for i := range f.packets {
		b := f.packets[i].Blob
		if b == nil || there[b.Sum] {
			continue
		}
		if err := p.send(ctx, *b); err != nil {
			return fmt.Errorf("send large data to %s: %w", p.name, err)
		}
		sent = append(sent, *b)
	}
	a := f.encode()
	return p.store.Append(ctx, a.To, a.Frame)
}

func (p *peer) send(ctx context.Context, b packet.Blob) error {
	file, err := p.node.blobs.Open(b)
	if err != nil {
		return err
	}
	defer file.Close() // only read
	return p.store.PutBlob(ctx, b, packet.Verify(b, file))
}
