package node

import (
	"sync/atomic"

	"github.com/recap/pumpkin/packet"
)

func (h *host) counts() (in, out, failed uint64) {
	for _, s := range h.slots {
		for i := range s.in {
			in += s.in[i].Load()
		}
		for i := range s.out {
			out += s.out[i].Load()
		}
		failed += s.failed.Load()
	}
	return in, out, failed
}

// filtered counts the packets for which the seed gave nothing, though its contract has outputs.
func (h *host) filtered() (n uint64) {
	for _, s := range h.slots {
		n += s.filtered.Load()
	}
	return n
}

// countsByState are the packets that the seed took and gave, by their states.
func (h *host) countsByState() (in, out map[packet.State]uint64) {
	sum := func(states []packet.State, of func(*slot) []atomic.Uint64) map[packet.State]uint64 {
		counts := make(map[packet.State]uint64, len(states))
		for _, s := range h.slots {
			for i, state := range states {
				counts[state] += of(s)[i].Load()
			}
		}
		return counts
	}
	c := h.manifest.Contract
	return sum(c.In, func(s *slot) []atomic.Uint64 { return s.in }), sum(c.Out, func(s *slot) []atomic.Uint64 { return s.out })
}
