package top

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/web"
)

// Draw gives the lines of a view, no more than there is room for.
func Draw(v View, s Screen) []string {
	p := &page{Screen: s}
	if s.Keys {
		p.Height-- // for the last line
	}
	p.head(v)
	if v.Look {
		p.seed(v)
	} else {
		p.network(v)
	}
	if len(p.lines) > p.Height {
		p.lines = p.lines[:max(p.Height, 0)]
	}
	if !s.Keys {
		return p.lines
	}
	for len(p.lines) < p.Height {
		p.lines = append(p.lines, "")
	}
	keys := fmt.Sprintf("q quit   up/down move   enter look   p pause, resume   s sort (by %s)", v.Order)
	if v.Look {
		keys = "esc back   up/down other seeds   p pause, resume   q back"
	}
	if v.Said != "" {
		keys = v.Said
	}
	p.add(strong, "%s", keys)
	return p.lines
}

func (p *page) head(v View) {
	if len(v.Sample.Network.Nodes) == 0 {
		p.add(bad, "%s", cmp.Or(v.Trouble, "asking the node ..."))
		return
	}
	own := v.Sample.Network.Nodes[0]
	p.add(strong, "pmk top   node %s, group %s, up %s   %s", own.Node, own.Group, age(v.Sample.At, own.Since), v.Sample.At.Format("15:04:05"))
	var waits int
	for _, m := range v.Sample.Network.Nodes {
		for _, w := range m.Waiting {
			waits += w.Packets
		}
	}
	p.add(plain, "%s, %s, %s waiting", english.Plural(len(v.Sample.Network.Nodes), "node", ""), english.Plural(len(v.Sample.Seeds), "seed", ""), english.Plural(waits, "packet", ""))
	if v.Trouble != "" {
		p.add(bad, "not up to date: %s", v.Trouble)
	}
	p.add(plain, "")
}

// seedLine is the form of a seed's line. The name has what the others leave.
const seedLine = "%s %8s %8s %7s %8s %7s %7s %7s %12s"

// network draws the seeds, then the nodes and what waits in a share of the room
// each.
func (p *page) network(v View) {
	rows, net := v.Order.sorted(v.Sample.Seeds), v.Sample.Network
	type waiting struct {
		node string
		node.Waiting
	}
	var waits []waiting
	for _, m := range net.Nodes {
		for _, w := range m.Waiting {
			waits = append(waits, waiting{m.Node, w})
		}
	}
	nodes, waitRows := min(len(net.Nodes), max(p.left()/4, 1)), min(len(waits), max(p.left()/4, 1))
	room := p.left() - (nodes + 2) - 1
	if waitRows > 0 {
		room -= waitRows + 2
	}
	room = min(max(room, 1), len(rows))

	name := max(p.Width-72, 8)
	p.add(strong, seedLine, pad("SEED", name), "IN/s", "OUT/s", "FAIL/s", "STORED", "QUEUED", "RUN", "PER PKT", "ETA")
	at := v.cursor(rows)
	first := max(min(at-room/2, len(rows)-room), 0)
	for i, r := range rows[first : first+room] {
		s := plain
		switch {
		case p.Keys && first+i == at:
			s = pointed
		case r.Failed > 0 || r.Behind:
			s = bad
		}
		p.add(s, seedLine, pad(cut(label(r), name), name), number(r.In), number(r.Out), number(r.Failed), number(float64(r.Stored)), number(float64(r.Queued)),
			fmt.Sprintf("%d/%d", r.Running, r.Workers), duration(r.Cost), drain(r))
	}
	p.add(plain, "")
	p.add(strong, "%s %9s %8s  %s", pad("NODE", 24), "UP", "SEEDS", "STORE")
	for _, m := range net.Nodes[:nodes] {
		p.node(v.Sample.At, m)
	}
	if waitRows > 0 {
		p.add(plain, "")
		p.add(strong, "%s %9s %9s  %s", pad("WAITING IN", 24), "PACKETS", "OLDEST", "WHY")
		for _, w := range waits[:waitRows] {
			p.add(plain, "%s %9s %9s  %s", pad(cut(w.Place(), 24), 24), number(float64(w.Packets)), age(v.Sample.At, w.Since), w.Why)
		}
	}
}

func (p *page) node(now time.Time, m web.Member) {
	s, up, store := plain, age(now, m.Since), storeText(m.Store)
	switch {
	case m.Trouble != "":
		s, up, store = bad, "-", "does not answer: "+m.Trouble
	case m.Store.Held() != "":
		s = bad
	case m.Leaving:
		up = "ending"
	}
	p.add(s, "%s %9s %8d  %s", pad(cut(m.Node, 24), 24), up, len(m.Seeds), store)
}
