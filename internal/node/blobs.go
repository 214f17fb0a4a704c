package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// setApart puts the data that is too large for a frame beside it, and adds what
// it put to own.
func (n *Node) setApart(frames []*filling, own []packet.Sum) ([]packet.Sum, error) {
	large := false
	put := map[packet.ID]*packet.Blob{} // copies of one packet have one blob
	for _, f := range frames {
		for i := range f.packets {
			p := &f.packets[i]
			if len(p.Data) > store.MaxInline {
				b := put[p.ID]
				if b == nil {
					got, err := n.putData(p)
					if err != nil {
						return own, err
					}
					own = append(own, got.Sum)
					b = &got
					put[p.ID] = b
				}
				p.Blob, p.Data = b, ""
			}
			large = large || p.Blob != nil
		}
	}
	if large {
		n.holdLeft()
	}
	return own, nil
}

// blobsOf is the large data that packets of one frame name, each once: a frame
// holds it once.
func blobsOf(ps []packet.Packet) (sums []packet.Sum) {
	for i := range ps {
		if b := ps[i].Blob; b != nil && !slices.Contains(sums, b.Sum) {
			sums = append(sums, b.Sum)
		}
	}
	return sums
}

// holdBlobs holds what a frame of these packets names.
func (n *Node) holdBlobs(ps []packet.Packet) {
	for _, sum := range blobsOf(ps) {
		n.blobs.Hold(sum)
	}
}

// dropBlobs is the opposite, for a frame that was not stored.
func (n *Node) dropBlobs(ps []packet.Packet) { n.drop(blobsOf(ps)) }

func (n *Node) drop(sums []packet.Sum) {
	for _, sum := range sums {
		if err := n.blobs.Drop(sum); err != nil {
			n.log.Warn("removing large data that no packet needs any more", "error", err)
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

// load gives the packets of the batch their large data, unless the runner reads it
// from the store itself, for a seed that gets data in memory. Packets whose data
// cannot be read, or is too much for that, fail; false means that none is left.
func (s *slot) load() bool {
	b := &s.room
	kept := 0
	for i := range b.packets {
		it := item{Packet: b.packets[i], from: b.from[i]}
		if err := s.host.tooLarge(&it); err != nil {
			s.host.fail(&it, err)
			continue
		}
		if it.Blob != nil && !s.host.streams {
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

// tooLarge is why the seed, which gets data in memory, is not given the packet's, which
// came in as a file or a stream; nil if it is.
func (h *host) tooLarge(it *item) error {
	most := h.node.cfg.MaxData
	if it.Blob == nil || it.Blob.Size <= most {
		return nil
	}
	way := ": with pmk-data: path it is given a file"
	if !h.streams {
		way = ""
	}
	return &runner.Fault{Reason: fmt.Sprintf("its data has %d bytes, and a seed gets at most %d in memory (--max-packet)%s", it.Blob.Size, most, way), Final: true}
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
			n.log.Warn("looking for large data that no packet needs any more: it stays", "error", err)
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
	named, ok := n.store.(store.Naming)
	if !ok {
		return errors.New("the store does not say which of it packets need")
	}
	if err := named.Blobs(ctx, n.blobs.Hold); err != nil {
		return err
	}
	return n.blobs.Sweep()
}
