// Package top draws the live view of pmk top: a network in a terminal.
package top

import (
	"cmp"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/seed"
)

// A Sample is what a network did between two looks at it.
type Sample struct {
	At      time.Time   `json:"at"`
	Network api.Network `json:"network"`
	Seeds   []Row       `json:"seeds"`
}

// A Row is one seed on all its nodes. Rates are a second.
type Row struct {
	Seed     seed.Name     `json:"seed"`
	Nodes    int           `json:"nodes"`
	In       float64       `json:"in_per_second"`
	Out      float64       `json:"out_per_second"`
	Failed   float64       `json:"failed_per_second"`
	Failures uint64        `json:"failed"` // since its nodes have started
	Queued   int           `json:"queued"`
	Stored   int           `json:"stored"`
	Running  int           `json:"running"`
	Workers  int           `json:"workers"`
	Cost     time.Duration `json:"cost_ns"` // of the slowest replica
	Drain    predict.Drain `json:"drain"`
	Behind   bool          `json:"behind,omitempty"`
	Paused   int           `json:"paused,omitempty"` // on how many of its nodes
}

// Compare makes a sample of a network as it is now and as it was; before may be
// nil, then nothing is known of rates.
func Compare(before *Sample, now time.Time, net api.Network) Sample {
	type place struct {
		node string
		run  string
		seed seed.Name
	}
	type counts struct{ in, out, failed uint64 }
	was, span := map[place]counts{}, 0.0
	if before != nil {
		span = now.Sub(before.At).Seconds()
		for _, m := range before.Network.Nodes {
			for _, s := range m.Seeds {
				was[place{m.Node, m.Run, s.Manifest.Name}] = counts{s.In, s.Out, s.Failed}
			}
		}
	}
	// A seed that is new, or was replaced, has begun to count anew.
	rate := func(now, before uint64, met bool) float64 {
		if !met || now < before || span <= 0 {
			return 0
		}
		return float64(now-before) / span
	}
	rows := map[seed.Name]*Row{}
	of := func(name seed.Name) *Row {
		if rows[name] == nil {
			rows[name] = &Row{Seed: name}
		}
		return rows[name]
	}
	for _, m := range net.Nodes {
		for _, s := range m.Seeds {
			r := of(s.Manifest.Name)
			c, met := was[place{m.Node, m.Run, s.Manifest.Name}]
			r.Nodes++
			r.In += rate(s.In, c.in, met)
			r.Out += rate(s.Out, c.out, met)
			r.Failed += rate(s.Failed, c.failed, met)
			r.Failures += s.Failed
			r.Queued += s.Queued
			r.Running += s.Running
			r.Workers += s.Workers
			r.Cost = max(r.Cost, s.Cost)
			if s.Paused {
				r.Paused++
			}
		}
		for _, b := range m.Behind {
			of(b.Seed).Behind = true
		}
	}
	for name, count := range sum.Stored(net.Nodes) {
		of(name).Stored = count
	}
	for _, a := range net.Ahead {
		of(a.Seed).Drain = a.Drain
	}
	out := Sample{At: now, Network: net, Seeds: []Row{}}
	for _, r := range rows {
		out.Seeds = append(out.Seeds, *r)
	}
	slices.SortFunc(out.Seeds, func(a, b Row) int { return cmp.Compare(a.Seed, b.Seed) })
	return out
}

// An Order is what seeds are sorted by.
type Order int

// The orders, in the order in which a key goes through them.
const (
	ByName Order = iota
	ByIn
	ByStored
	ByDrain
	ByFailed
	ByCost
	orders
)

func (o Order) String() string {
	return [orders]string{"name", "in/s", "stored", "ETA", "failed", "per packet"}[o]
}

// sorted are the seeds in this order: names from a to z, of all else the most first.
func (o Order) sorted(rows []Row) []Row {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int {
		switch o {
		case ByIn:
			return cmp.Compare(b.In, a.In)
		case ByStored:
			return cmp.Compare(b.Stored+b.Queued, a.Stored+a.Queued)
		case ByDrain:
			return cmp.Compare(b.Drain.Time, a.Drain.Time)
		case ByFailed:
			return cmp.Compare(b.Failures, a.Failures)
		case ByCost:
			return cmp.Compare(b.Cost, a.Cost)
		}
		return cmp.Compare(a.Seed, b.Seed)
	})
	return rows
}
