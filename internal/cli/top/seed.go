package top

import (
	"fmt"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// seed draws all of the seed that is pointed at.
func (p *page) seed(v View) {
	rows := v.Order.sorted(v.Sample.Seeds)
	if len(rows) == 0 {
		p.add(plain, "There are no seeds.")
		return
	}
	r := rows[v.cursor(rows)]
	var first *node.SeedStatus
	for _, m := range v.Sample.Network.Nodes {
		for _, s := range m.Seeds {
			if s.Manifest.Name == r.Seed && first == nil {
				first = &s
			}
		}
	}
	p.add(strong, "seed %s", r.Seed)
	if r.Paused > 0 {
		p.add(bad, "paused on %d of its %s", r.Paused, english.Plural(r.Nodes, "node", ""))
	}
	if first != nil {
		if about := first.Manifest.About; about != "" {
			p.add(plain, "%s", about)
		}
		p.add(plain, "%s   %s   %s", first.Manifest.Kind, first.Manifest.Contract, first.Manifest.File)
		if l := first.Prediction; l.Known() {
			p.add(plain, "a packet takes %s, and each KiB of it %s; predictions are off by %.0f %%",
				duration(l.Cost(0)), duration(l.Cost(1024)-l.Cost(0)), 100*l.Error)
		}
	}
	p.add(plain, "in %s/s, out %s/s, failed %s/s; %d queued, %d stored; ETA %s", number(r.In), number(r.Out), number(r.Failed), r.Queued, r.Stored, drain(r))
	p.add(plain, "")
	p.add(strong, "%s %10s %10s %8s %8s %8s %8s %8s", pad("NODE", 20), "IN", "OUT", "FAILED", "STORED", "QUEUED", "RUN", "PER PKT")
	for _, m := range v.Sample.Network.Nodes {
		for _, s := range m.Seeds {
			if s.Manifest.Name == r.Seed {
				p.add(plain, "%s %10d %10d %8d %8d %8d %8s %8s", pad(cut(m.Node, 20), 20), s.In, s.Out, s.Failed, s.Stored, s.Queued,
					fmt.Sprintf("%d/%d", s.Running, s.Workers), duration(s.Cost))
			}
		}
		for _, in := range m.Inboxes {
			if in.Seed == r.Seed {
				p.add(plain, "%s %10s %10s %8s %8d", pad(cut(m.Node, 20), 20), "-", "-", "-", in.Packets)
			}
		}
	}
	for _, m := range v.Sample.Network.Nodes {
		for _, b := range m.Behind {
			if b.Seed == r.Seed {
				p.add(bad, "has fallen behind for %s: its backlog in the store of %[3]s grows by %[2]s each second", age(v.Sample.At, b.Since), number(b.Growth), m.Node)
			}
		}
		for _, s := range m.Seeds {
			if s.Manifest.Name == r.Seed {
				if i := s.Injector; i != nil && i.Failed > 0 {
					p.add(bad, "%s: %s", m.Node, i.Text(v.Sample.At))
				}
				for _, e := range s.Errors {
					p.add(bad, "%s ago on %s: %s", age(v.Sample.At, e.At), m.Node, e.Error)
				}
			}
		}
		for _, w := range m.Waiting {
			if w.State == packet.ErrorState(string(r.Seed)) {
				p.add(bad, "%s wait in %s on %s: 'pmk waiting %s --show' says why", english.Plural(w.Packets, "packet", ""), w.State, m.Node, w.State)
			}
		}
	}
}
