package sum

import (
	"cmp"
	"slices"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/seed"
)

// around is about how much of a stored packet is not its data.
const around = 100

// Ahead works out what lies before every seed that has something, by name.
func Ahead(nodes []api.Member) []api.Ahead {
	type work struct {
		api.Ahead
		inboxes  []int // packets
		sizes    []int64
		replicas []predict.Replica
	}
	seeds := map[seed.Name]*work{}
	of := func(name seed.Name) *work {
		if seeds[name] == nil {
			seeds[name] = &work{Ahead: api.Ahead{Seed: name}}
		}
		return seeds[name]
	}
	for _, m := range nodes {
		for _, s := range m.Seeds {
			w := of(s.Manifest.Name)
			if !s.Paused {
				w.replicas = append(w.replicas, predict.Replica{Line: s.Prediction, Workers: s.Workers})
			}
			packets, bytes := s.Stored, s.StoredBytes // what was pulled is still stored
			if s.Queued > s.Stored {
				packets, bytes = s.Queued, int64(s.QueuedBytes)
			}
			w.inboxes, w.sizes = append(w.inboxes, packets), append(w.sizes, bytes)
		}
		for _, in := range m.Inboxes {
			w := of(in.Seed)
			w.inboxes, w.sizes = append(w.inboxes, in.Packets), append(w.sizes, in.Bytes)
		}
	}
	out := []api.Ahead{}
	for _, w := range seeds {
		mean := 0.0 // of what the seed has had of late
		for _, r := range w.replicas {
			mean = max(mean, r.Line.Bytes)
		}
		for i, packets := range w.inboxes {
			w.Packets += packets
			// Large data lies beside the frames: where there may be some, what
			// comes is taken to be like what came.
			if mean > store.MaxInline/8 {
				w.Bytes += int64(float64(packets) * mean)
			} else {
				w.Bytes += max(w.sizes[i]-around*int64(packets), 0)
			}
		}
		if w.Packets > 0 {
			w.Drain = predict.DrainOf(w.Packets, w.Bytes, w.replicas)
			out = append(out, w.Ahead)
		}
	}
	slices.SortFunc(out, func(a, b api.Ahead) int { return cmp.Compare(a.Seed, b.Seed) })
	return out
}
