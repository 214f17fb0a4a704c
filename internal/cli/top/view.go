package top

import (
	"slices"

	"github.com/recap/pumpkin/seed"
)

// A View is what somebody looks at, and how.
type View struct {
	Sample  Sample
	Trouble string // why there is no newer sample
	Order   Order
	At      seed.Name // the seed that is pointed at
	Look    bool      // at that seed alone
	Said    string    // what the last key did, or why not
	Quit    bool
}

// A Key is one that was pressed.
type Key int

// The keys that mean something.
const (
	None Key = iota
	Up
	Down
	Enter
	Escape
	Sort
	Pause
	Quit
)

// Keys are those in what a terminal has sent at once.
func Keys(sent []byte) []Key {
	var keys []Key
	for len(sent) > 0 {
		key, n := None, 1
		switch {
		case len(sent) >= 3 && sent[0] == 0x1b && (sent[1] == '[' || sent[1] == 'O'):
			n = 3
			switch sent[2] {
			case 'A':
				key = Up
			case 'B':
				key = Down
			default: // up to the letter that ends it
				for n = 2; n < len(sent) && (sent[n] < '@' || sent[n] > '~'); n++ {
				}
				n = min(n+1, len(sent))
			}
		case sent[0] == 0x1b:
			key = Escape
		case sent[0] == 'k':
			key = Up
		case sent[0] == 'j':
			key = Down
		case sent[0] == '\r' || sent[0] == '\n' || sent[0] == 'l':
			key = Enter
		case sent[0] == 's':
			key = Sort
		case sent[0] == 'p':
			key = Pause
		case sent[0] == 'q' || sent[0] == 3 || sent[0] == 4: // Ctrl-C, Ctrl-D
			key = Quit
		}
		if key != None {
			keys = append(keys, key)
		}
		sent = sent[n:]
	}
	return keys
}

// Press is the view after a key. What [Pause] does is up to who has the seed's node.
func (v View) Press(k Key) View {
	v.Said = ""
	switch k {
	case Quit:
		if v.Look {
			v.Look = false
		} else {
			v.Quit = true
		}
	case Escape:
		v.Look = false
	case Enter:
		v.Look = !v.Look && len(v.Sample.Seeds) > 0
	case Sort:
		v.Order = (v.Order + 1) % orders
	case Up:
		v.point(-1)
	case Down:
		v.point(1)
	}
	return v
}

// pointedAt is the seed that is pointed at; nil if there are none.
func (v View) pointedAt() *Row {
	rows := v.Order.sorted(v.Sample.Seeds)
	if len(rows) == 0 {
		return nil
	}
	return &rows[v.cursor(rows)]
}

// cursor is the row that is pointed at, the first if its seed is gone.
func (v *View) cursor(rows []Row) int {
	return max(slices.IndexFunc(rows, func(r Row) bool { return r.Seed == v.At }), 0)
}

func (v *View) point(by int) {
	rows := v.Order.sorted(v.Sample.Seeds)
	if len(rows) > 0 {
		v.At = rows[min(max(v.cursor(rows)+by, 0), len(rows)-1)].Seed
	}
}
