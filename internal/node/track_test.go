package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestATrackHasABound sends tracked packets along a chain that would gather
// more data than goes into a frame.
func TestATrackHasABound(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		const seeds = 8
		w, _ := r.world(t)
		for i := range seeds {
			w.host(w.seed(fmt.Sprintf("s%d", i), fmt.Sprintf("T:S%d -> T:S%d", i, i+1), func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
				return emit("", in.Data)
			}))
		}
		w.start()
		for _, size := range []int{10, 200 << 10, 2 << 20} {
			w.inject("T:S0", strings.Repeat("x", size), &packet.Wish{Track: true})
		}
		var ps []packet.Packet
		testenv.Eventually(t, 20*time.Second, "all get to the end", func() bool {
			ps = nil
			err := w.Show(t.Context(), packet.State(fmt.Sprintf("T:S%d", seeds)), func(p packet.Packet) bool { ps = append(ps, p); return true })
			if err != nil {
				t.Fatal(err)
			}
			return len(ps) == 3
		})
		for i := range ps {
			hops, kept := 0, 0
			for hop := ps[i].Trail; hop != nil; hop = hop.Prev {
				hops++
				if hop.State == "" {
					t.Errorf("hop %s has no state", hop.Seed)
				}
				if hop.Data != "" {
					kept++
				}
			}
			want := map[int]int{10: seeds, 200 << 10: 1, 0: 0}[len(ps[i].Data)]
			if hops != seeds || kept != want {
				t.Errorf("%d bytes: %d hops, %d with data; expected %d, %d", len(ps[i].Data), hops, kept, seeds, want)
			}
		}
	})
}
