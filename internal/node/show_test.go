package node

import (
	"context"
	"fmt"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Show gives the packets that wait in a state, oldest first, until visit
// returns false.
func (s *sorter) Show(ctx context.Context, state packet.State, visit func(packet.Packet) bool) error {
	return s.store.Look(ctx, store.Waiting(state), 0, func(r store.Stored) bool {
		_, ps, err := packet.ParseFrame(r.Data)
		if err != nil {
			s.log.Error(fmt.Sprintf("frame %d of %s: %v", r.Number, state, err))
			return true
		}
		for i := range ps {
			if !visit(ps[i]) {
				return false
			}
		}
		return true
	})
}
