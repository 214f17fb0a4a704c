package faulttest

import (
	"math/rand/v2"

	"github.com/recap/pumpkin/internal/api"
)

// enlarge has one packet in 60 carry 2 MiB.
func (r *team) enlarge() {
	for _, f := range r.feeds() {
		f.draw = func(r *rand.Rand) api.Sending {
			id := drawID(r)
			if r.IntN(60) == 0 {
				id.Hi &^= 0xffff << 40 // what dataOf takes for a large one
			}
			return farPacket(id, r)
		}
	}
}
