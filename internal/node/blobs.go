package node

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// origin is the lineage of a frame that was pulled from a peer's store, or, if
// that is nil, from the own one.
func (n *Node) origin(from *peer, at store.Place, lease store.Lease, ps []packet.Packet) *origin {
	o := &origin{node: n, peer: from, lease: lease, at: at}
	o.live.Store(int64(len(ps)))
	for i := range ps {
		if b := ps[i].Blob; b != nil {
			o.blobs = append(o.blobs, b.Sum)
		}
	}
	return o
}

// setApart puts the data that is too large for a frame beside it.
func (n *Node) setApart(f *commit) error {
	for i := range f.packets {
		p := &f.packets[i]
		if len(p.Data) <= store.MaxInline {
			continue
		}
		if n.blobs == nil {
			return fmt.Errorf("packet %s has %d bytes of data, more than a frame takes, and there is no place beside it", p.ID, len(p.Data))
		}
		b, err := n.blobs.Put(n.running, strings.NewReader(p.Data), n.cfg.MaxData)
		if err != nil {
			return err
		}
		f.own = append(f.own, b.Sum)
		p.Blob, p.Data = &b, ""
	}
	if slices.ContainsFunc(f.packets, func(p packet.Packet) bool { return p.Blob != nil }) {
		n.holdLeft()
	}
	return nil
}

// holdBlobs holds what a frame of these packets names.
func (n *Node) holdBlobs(ps []packet.Packet) {
	for i := range ps {
		if b := ps[i].Blob; b != nil {
			n.blobs.Hold(b.Sum)
		}
	}
}

// dropBlobs is the opposite, for a frame that was not stored.
func (n *Node) dropBlobs(ps []packet.Packet) {
	for i := range ps {
		if b := ps[i].Blob; b != nil {
			n.drop([]packet.Sum{b.Sum})
		}
	}
}

func (n *Node) drop(sums []packet.Sum) {
	for _, sum := range sums {
		if err := n.blobs.Drop(sum); err != nil {
			n.log.Warn("removing large data that nobody needs any more", "error", err)
		}
	}
}

// runnerBlobs are what runners put large data into. Without a store on the way
// it stays in memory.
func (n *Node) runnerBlobs() runner.Blobs {
	if !n.stored() || n.blobs == nil {
		return nil
	}
	return n.blobs
}

// ackedFor is how long large data is kept after the frame that names it was
// acknowledged: an acknowledgement does not wait for the disk, and if it is lost
// with the node or the power, the frame comes again.
const ackedFor = 2 * time.Second

// dropLater drops blobs once the frame that named them is surely gone. What is
// left when the node ends is swept at the next start.
func (n *Node) dropLater(sums []packet.Sum) {
	if len(sums) == 0 {
		return
	}
	time.AfterFunc(ackedFor, func() {
		if n.running.Err() == nil {
			n.drop(sums)
		}
	})
}

// keep makes the origin hold a blob that was put for a packet which descends
// from it.
func (o *origin) keep(sum packet.Sum) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.passed = append(o.passed, sum)
}

// load gives the packets of the batch their large data, for a seed that takes
// all of it at once. Packets whose data cannot be read fail; false means that
// none is left.
func (s *slot) load() bool {
	b := &s.room
	kept := 0
	for i := range b.packets {
		it := item{Packet: b.packets[i], from: b.from[i]}
		if it.Blob != nil {
			data, err := s.node.read(*it.Blob)
			if err != nil {
				s.host.fail(&it, &runner.Fault{Reason: err.Error()})
				continue
			}
			it.Data, it.Blob = data, nil
		}
		b.packets[kept], b.from[kept] = it.Packet, it.from
		kept++
	}
	b.packets, b.from = b.packets[:kept], b.from[:kept]
	return kept > 0
}

// read is all of a blob.
func (n *Node) read(b packet.Blob) (string, error) {
	file, err := n.blobs.Open(b)
	if err != nil {
		return "", err
	}
	defer file.Close() // only read
	var text strings.Builder
	text.Grow(int(b.Size))
	if _, err := io.Copy(&text, packet.Verify(b, file)); err != nil {
		return "", fmt.Errorf("read large data: %w", err)
	}
	return text.String(), nil
}

// holdLeft holds the large data that an earlier process left, once. Before, no
// frame that names such data is stored, and none is taken out: one that was
// moved meanwhile would be looked at neither where it was nor where it is, and
// its data be taken for what nobody needs; a new one would be counted twice.
func (n *Node) holdLeft() {
	n.holding.Do(func() {
		n.waits.hands.Lock() // nor does anybody retry or drop
		defer n.waits.hands.Unlock()
		if err := n.holdStored(n.running); err != nil && n.running.Err() == nil {
			n.log.Warn("looking for large data that nobody needs any more: it stays", "error", err)
		}
	})
}

// holdStored holds what the frames of an earlier process name, and removes what
// none of them does.
func (n *Node) holdStored(ctx context.Context) error {
	if n.blobs == nil {
		return nil
	}
	left, err := n.blobs.Any()
	if err != nil {
		return err
	}
	if !left {
		return n.blobs.Sweep()
	}
	places, err := n.store.Places(ctx)
	if err != nil {
		return err
	}
	var unread error
	for _, c := range places {
		err := n.store.Look(ctx, c.Place, 0, func(r store.Resting) bool {
			_, ps, err := packet.ParseFrame(r.Data)
			if err != nil {
				unread = fmt.Errorf("frame %d of %s: %w", r.Number, c.Place, err)
			}
			n.holdBlobs(ps)
			return true
		})
		if err != nil {
			return err
		}
	}
	if unread != nil { // what it names is not known
		return unread
	}
	return n.blobs.Sweep()
}
