package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/recap/pumpkin/packet"
)

// fetch brings the large data that packets of a peer's frame name into the own
// store, and holds it. If some of it cannot be had, nothing is held.
func (s *ownStore) fetch(from *peer, ps []packet.Packet) error {
	for i := range ps {
		b := ps[i].Blob
		if b == nil || slices.Contains(blobsOf(ps[:i]), b.Sum) {
			continue
		}
		if err := s.fetchBlob(from, *b); err != nil {
			s.dropBlobs(ps[:i])
			return fmt.Errorf("packet %s: %w", ps[i].ID, err)
		}
	}
	return nil
}

func (s *ownStore) fetchBlob(from *peer, b packet.Blob) error {
	if s.blobs == nil {
		return errors.New("there is no place for large data here")
	}
	s.holdLeft()
	s.blobs.Hold(b.Sum)
	if file, err := s.blobs.Open(b); err == nil {
		return file.Close() // it is here already
	}
	s.drop([]packet.Sum{b.Sum})
	r, err := from.store.OpenBlob(s.running, b)
	if err != nil {
		return err
	}
	defer r.Close() // only read
	// What is too large for new packets here may pass all the same: it was let in
	// elsewhere.
	_, err = s.blobs.Put(s.running, packet.Verify(b, r), b.Size)
	return err
}
