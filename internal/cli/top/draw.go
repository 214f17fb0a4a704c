package top

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/web"
)

// A Screen is where a view is drawn.
type Screen struct {
	Width, Height int
	Color         bool
	Keys          bool // there is somebody to press some
}

// A style is how a line stands out, as the terminal is told.
type style string

const (
	plain   style = ""
	strong  style = "1"
	pointed style = "7"
	bad     style = "31"
)

// A page is filled line by line.
type page struct {
	Screen
	lines []string
}

// add is one line, cut to the width. What comes from outside, as reasons do, may
// hold anything; the terminal is only given what can be seen.
func (p *page) add(s style, format string, args ...any) {
	line := cut(fmt.Sprintf(format, args...), p.Width)
	if s == pointed { // over the whole width
		line = pad(line, p.Width)
	}
	if p.Color && s != plain {
		line = "\x1b[" + string(s) + "m" + line + "\x1b[0m"
	} else if s == pointed {
		line = strings.TrimRight(line, " ")
	}
	p.lines = append(p.lines, line)
}

// left is how many more lines there may be.
func (p *page) left() int { return p.Height - len(p.lines) }

// cut is text that can be seen, of at most that many characters.
func cut(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	if most <= 1 {
		return string(runes[:max(most, 0)])
	}
	return string(runes[:most-1]) + "~"
}

func pad(text string, to int) string {
	return text + strings.Repeat(" ", max(to-utf8.RuneCountInString(text), 0))
}

// Draw gives the lines of a view, no more than there is room for.
func Draw(v View, s Screen) []string {
	p := &page{Screen: s}
	if s.Keys {
		p.Height-- // for the last line
	}
	p.head(v)
	if v.Look {
		p.look(v)
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

func label(r Row) string {
	name := string(r.Seed)
	if r.Nodes > 1 {
		name += fmt.Sprintf(" x%d", r.Nodes)
	}
	switch {
	case r.Paused > 0:
		name = "paused " + name
	case r.Behind:
		name = "!" + name
	}
	return name
}

func drain(r Row) string {
	if r.Drain.Time == 0 {
		return "-"
	}
	return fmt.Sprintf("%s ±%.0f%%", duration(r.Drain.Time), 100*r.Drain.Error)
}

// number is a count or a rate in at most six characters.
func number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	case v < 1e5:
		return fmt.Sprintf("%.0f", v)
	case v < 1e8:
		return fmt.Sprintf("%.0fk", v/1e3)
	}
	return fmt.Sprintf("%.0fM", v/1e6)
}

// duration is one in at most seven characters.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d.Nanoseconds())
	case d < time.Millisecond:
		return fmt.Sprintf("%.3gµs", float64(d.Nanoseconds())/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.3gms", float64(d.Microseconds())/1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func age(now, since time.Time) string {
	return duration(max(now.Sub(since), time.Second).Round(time.Second))
}

func storeText(s node.StoreStatus) string {
	text := s.Durability + ", " + humanize.IBytes(uint64(max(s.Used, 0)))
	if s.Size > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", humanize.IBytes(uint64(s.Size)), 100*s.Used/s.Size)
	}
	if why := s.Held(); why != "" {
		text += "; senders wait: " + why
	}
	return text
}
