package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// ErrDamaged is a frame in the store that is not what was stored.
var ErrDamaged = errors.New("a frame in the store is damaged")

// newerRest is how long a frame rests that this version cannot read.
const newerRest = time.Hour

// damaged sets a frame aside that cannot be read, and ends its lease; where it
// cannot be set aside it stays in the store.
func (s *ownStore) damaged(at store.Queue, lease store.Lease, err error) {
	if errors.Is(err, packet.ErrNewerFrame) {
		s.log.Error(fmt.Sprintf("frame %d of %s: %v; it stays in the store for that", lease.Number(), at, err), "error", err)
		if err := lease.Release(newerRest); err != nil {
			s.log.Debug("releasing a frame of a newer version", "error", err)
		}
		return
	}
	if spoiled, ok := lease.(mesh.Spoiled); ok { // its owner sees to it
		s.log.Error(fmt.Sprintf("frame %d of %s in a peer's store: %v", lease.Number(), at, err), "error", err)
		if err := spoiled.Spoil(); err != nil {
			s.log.Debug("telling a peer of a damaged frame", "error", err)
		}
		return
	}
	s.damage.Add(1)
	s.log.Error(fmt.Sprintf("frame %d of %s: %v: %v; 'pmk store check' tells more", lease.Number(), at, ErrDamaged, err), "error", err)
	end := lease.Ack
	if s.cfg.SetAside == nil {
		end = func() error { return lease.Release(time.Hour) }
	} else if err := s.cfg.SetAside(at, lease.Number(), lease.Data()); err != nil {
		s.log.Error("setting a damaged frame aside", "error", err)
		end = func() error { return lease.Release(time.Minute) }
	}
	if err := end(); err != nil {
		s.log.Debug("ending a damaged frame", "error", err)
	}
}
