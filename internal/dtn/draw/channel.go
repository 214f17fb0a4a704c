package draw

import (
	"cmp"
	"slices"
)

// maxNudges bounds how often items are moved aside for lines to get past
// each other.
const maxNudges = 500

// route gives every piece its track. Lines of two nets may cross, but not run
// over each other; where no order of the tracks can do that, an item of the
// layer behind the channel moves aside. It reports whether that ended well.
func (l *layout) route() bool {
	l.alleys()
	nudges := 0
	for c := range l.channels {
		for {
			l.pins(c)
			bad, ok := l.tracks(l.channels[c])
			if ok {
				break
			}
			if nudges++; nudges > maxNudges || bad.item < 0 {
				return false
			}
			l.nudge(bad.item)
		}
	}
	l.spreadLanes()
	for c := range l.channels {
		l.pins(c)
		if _, ok := l.tracks(l.channels[c]); !ok {
			return false
		}
	}
	return true
}

// nudge moves an item on by one, and what is behind it as far as it has to.
func (l *layout) nudge(at int) {
	layer := l.layers[l.items[at].layer]
	i := slices.Index(layer, at)
	l.items[at].pos++
	for i++; i < len(layer); i++ {
		least := l.items[layer[i-1]].pos + l.apart(layer[i-1], layer[i])
		if l.items[layer[i]].pos >= least {
			return
		}
		l.items[layer[i]].pos = least
	}
}

// pins works out where the pins of a channel are.
func (l *layout) pins(c int) {
	for i := range l.channels[c] {
		p := &l.channels[c][i]
		for j := range p.near {
			p.near[j].pos = l.pinPos(p.near[j], p.net, false)
		}
		for j := range p.far {
			p.far[j].pos = l.pinPos(p.far[j], p.net, true)
		}
		low, high := p.span()
		p.straight = low == high
	}
}

func (l *layout) pinPos(p pin, net int, far bool) int {
	switch {
	case p.item < 0:
		return l.lanes[p.lane].pos
	case far:
		return l.items[p.item].pos + l.offset(p.item, l.items[p.item].ins, net)
	default:
		return l.items[p.item].pos + l.offset(p.item, l.items[p.item].outs, net)
	}
}

// span is the reach of a piece on the cross axis.
func (p *piece) span() (low, high int) {
	all := slices.Concat(p.near, p.far)
	byPos := func(a, b pin) int { return cmp.Compare(a.pos, b.pos) }
	return slices.MinFunc(all, byPos).pos, slices.MaxFunc(all, byPos).pos
}

// overlap is the cost of two lines running over each other; more than any
// number of crossings.
const overlap = 1 << 20

// cost is what it costs a to run before b: the crossings of their lines. One
// that a.far and b.near have in common is no crossing, they would overlap;
// that pin of a is returned.
func cost(a, b *piece) (int, pin) {
	total, bad := 0, pin{item: -1}
	low, high := b.span()
	for _, p := range a.far {
		if low < p.pos && p.pos < high {
			total++
		}
		for _, q := range b.near {
			if p.pos == q.pos {
				total += overlap
				bad = p
			}
		}
	}
	low, high = a.span()
	for _, p := range b.near {
		if low < p.pos && p.pos < high {
			total++
		}
	}
	return total, bad
}

// tracks orders the pieces of one channel and gives them tracks, counted from
// 0. Where lines would overlap it returns a pin that is in the way.
func (l *layout) tracks(pieces []piece) (bad pin, ok bool) {
	var bent []*piece
	for i := range pieces {
		if !pieces[i].straight {
			bent = append(bent, &pieces[i])
		}
	}
	costs := make(map[[2]*piece]int, len(bent)*len(bent))
	for _, a := range bent {
		for _, b := range bent {
			if a != b {
				costs[[2]*piece{a, b}], _ = cost(a, b)
			}
		}
	}
	// Insert each where it costs least, then again with the others in place.
	const rounds = 4
	var order []*piece
	for range rounds {
		for _, p := range bent {
			order = slices.DeleteFunc(order, func(q *piece) bool { return q == p })
			order = slices.Insert(order, cheapest(order, p, costs), p)
		}
	}
	for i, p := range order {
		p.track = 0
		low, high := p.span()
		for _, q := range order[:i] {
			if c, pin := cost(q, p); c >= overlap {
				return pin, false
			}
			if from, to := q.span(); from <= high && low <= to {
				p.track = max(p.track, q.track+1)
			}
		}
	}
	return pin{}, true
}

// cheapest is the place in order where p costs least; the first of equals.
func cheapest(order []*piece, p *piece, costs map[[2]*piece]int) int {
	sum := 0
	for _, q := range order {
		sum += costs[[2]*piece{p, q}]
	}
	best, least := 0, sum
	for i, q := range order {
		sum += costs[[2]*piece{q, p}] - costs[[2]*piece{p, q}]
		if sum < least {
			best, least = i+1, sum
		}
	}
	return best
}

// alleys numbers the lanes, the shortest ones innermost: lanes that never
// come near each other share a number, which is their pos for now, far beyond
// all items.
func (l *layout) alleys() {
	order := make([]int, len(l.lanes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(l.lanes[a].high-l.lanes[a].low, l.lanes[b].high-l.lanes[b].low)
	})
	var alleys [][]int
	for _, i := range order {
		at := slices.IndexFunc(alleys, func(others []int) bool {
			return !slices.ContainsFunc(others, func(j int) bool {
				return l.lanes[i].low <= l.lanes[j].high+1 && l.lanes[j].low <= l.lanes[i].high+1
			})
		})
		if at < 0 {
			at = len(alleys)
			alleys = append(alleys, nil)
		}
		alleys[at] = append(alleys[at], i)
		l.lanes[i].pos = 1<<30 + at
	}
}

// spreadLanes puts the lanes just beyond the items.
func (l *layout) spreadLanes() {
	edge := 0
	for _, it := range l.items {
		edge = max(edge, it.pos+it.after+1)
	}
	for i := range l.lanes {
		l.lanes[i].pos = edge + l.metrics.laneGap + (l.lanes[i].pos-1<<30)*l.metrics.lanePitch
	}
}
