package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// setApart puts the data that is too large for a frame beside it, and adds what
// it put to own.
func (s *ownStore) setApart(frames []*filling, own []packet.Sum) ([]packet.Sum, error) {
	large := false
	put := map[packet.ID]*packet.Blob{} // copies of one packet have one blob
	for _, f := range frames {
		for i := range f.packets {
			p := &f.packets[i]
			if len(p.Data) > store.MaxInline {
				b := put[p.ID]
				if b == nil {
					got, err := s.putData(p)
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
		s.holdLeft()
	}
	return own, nil
}

// holdBlobs holds what a frame of these packets names.
func (s *ownStore) holdBlobs(ps []packet.Packet) {
	for _, sum := range blobsOf(ps) {
		s.blobs.Hold(sum)
	}
}

// dropBlobs is the opposite, for a frame that was not stored.
func (s *ownStore) dropBlobs(ps []packet.Packet) { s.drop(blobsOf(ps)) }

func (s *ownStore) drop(sums []packet.Sum) {
	for _, sum := range sums {
		if err := s.blobs.Drop(sum); err != nil {
			s.log.Warn("removing large data that no packet needs any more", "error", err)
		}
	}
}

// runnerBlobs are what runners put large data into. Without a store on the way
// it stays in memory.
func (s *ownStore) runnerBlobs() runner.Blobs {
	if !s.stored() || s.blobs == nil {
		return nil
	}
	return s.blobs
}

// ackedFor is how long large data is kept after the frame that names it was
// acknowledged: an acknowledgement does not wait for the disk, and if it is lost
// with the node or the power, the frame comes again.
const ackedFor = 2 * time.Second

// dropLater drops blobs once the frame that named them is surely gone. What is
// left when the node ends is swept at the next start.
func (s *ownStore) dropLater(sums []packet.Sum) {
	if len(sums) == 0 {
		return
	}
	time.AfterFunc(ackedFor, func() {
		if s.running.Err() == nil {
			s.drop(sums)
		}
	})
}

// read is all of a blob.
func (s *ownStore) read(b packet.Blob) (string, error) {
	file, err := s.blobs.Open(b)
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
func (s *ownStore) holdLeft() {
	s.holding.Do(func() {
		s.hands.Lock() // nor does anybody retry or drop
		defer s.hands.Unlock()
		if err := s.holdStored(s.running); err != nil && s.running.Err() == nil {
			s.log.Warn("looking for large data that no packet needs any more: it stays", "error", err)
		}
	})
}

// holdStored holds what the frames of an earlier process name, and removes what
// none of them does.
func (s *ownStore) holdStored(ctx context.Context) error {
	if s.blobs == nil {
		return nil
	}
	left, err := s.blobs.Any()
	if err != nil {
		return err
	}
	if !left {
		return s.blobs.Sweep()
	}
	named, ok := s.store.(store.Naming)
	if !ok {
		return errors.New("the store does not say which of it packets need")
	}
	if err := named.Blobs(ctx, s.blobs.Hold); err != nil {
		return err
	}
	return s.blobs.Sweep()
}

// putData stores the data of a packet as large data, held once.
func (s *ownStore) putData(p *packet.Packet) (packet.Blob, error) {
	if s.blobs == nil {
		return packet.Blob{}, fmt.Errorf("packet %s has %d bytes of data, more than a frame takes, and the node has no place for large data", p.ID, len(p.Data))
	}
	return s.blobs.Put(s.running, strings.NewReader(p.Data), s.cfg.MaxData)
}
