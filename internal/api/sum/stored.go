package sum

import (
	"maps"
	"slices"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/seed"
)

// Stored counts the packets in the inboxes of each seed, wherever they lie: any replica may take
// them.
func Stored(nodes []api.Member) map[seed.Name]int {
	stored := map[seed.Name]int{}
	for _, m := range nodes {
		for _, s := range m.Seeds {
			stored[s.Manifest.Name] += s.Stored
		}
		for _, in := range m.Inboxes {
			stored[in.Seed] += in.Packets
		}
	}
	return stored
}

// A WaitingAt is what waits in a state or an inbox of one node.
type WaitingAt struct {
	Node string `json:"node"`
	api.Waiting
}

// Waiting is all that waits, node by node.
func Waiting(nodes []api.Member) []WaitingAt {
	out := []WaitingAt{}
	for _, m := range nodes {
		for _, w := range m.Waiting {
			out = append(out, WaitingAt{m.Node, w})
		}
	}
	return out
}

// Away are the seeds that are away, by name, with what all nodes keep for them.
func Away(nodes []api.Member) []api.Away {
	by := map[seed.Name]*api.Away{}
	for _, m := range nodes {
		for _, s := range m.Away {
			total := by[s.Seed]
			if total == nil {
				by[s.Seed] = &s
				continue
			}
			total.Packets += s.Packets
			total.Bytes += s.Bytes
			if s.For < total.For {
				total.For, total.Text = s.For, s.Text
			}
		}
	}
	out := []api.Away{}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[name])
	}
	return out
}
