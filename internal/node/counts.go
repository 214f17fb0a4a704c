package node

import (
	"sync/atomic"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// counters are those of one slot, by state. They fill lines of the cache of their
// own, since the slots of a seed count at the same time.
func counters(c seed.Contract) (in, out []atomic.Uint64) {
	const line = 64 / 8
	ins, outs := max(len(c.In), 1), max(len(c.Out), 1)
	all := make([]atomic.Uint64, ins+outs, (ins+outs+line-1)/line*line)
	return all[:ins:ins], all[ins:]
}

// countIn counts the packets of a batch by their states.
func (s *slot) countIn(batch []packet.Packet) {
	if len(s.in) == 1 {
		s.in[0].Add(uint64(len(batch)))
		return
	}
	for i := range batch {
		for k, state := range s.host.manifest.Contract.In {
			if state == batch[i].State {
				s.in[k].Add(1)
				break
			}
		}
	}
}

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
