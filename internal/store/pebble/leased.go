package pebble

import (
	"encoding/binary"
	"maps"
	"slices"
)

// How often a frame was leased by processes that have ended is known without a
// record for each lease. A queue has a mark: the highest number that was ever
// leased. A frame that is still there and not above it was perhaps leased, which
// counts once, however many processes it was. Who leases such a frame says when
// work on it begins, see [Store.Begin]; each process that ends after that counts.
// So what was only pulled ahead while processes came and went is not blamed for
// it, and whoever is leased for the first time waits for nothing.

// A leased is what is known of earlier leases of a queue's frames.
type leased struct {
	mark uint64
	// earlier is what the mark was when this process began.
	earlier uint64
	// deaths are processes that have ended, or will have if this one does, while
	// work on a frame was under way; by the frame's number.
	deaths map[uint64]int
}

// before is how many leases by earlier processes a frame has, as far as they
// count.
func (l *leased) before(number uint64) int {
	n := l.deaths[number]
	if number <= l.earlier {
		n++
	}
	return n
}

// count counts a process in or out.
func (l *leased) count(number uint64, by int) {
	if l.deaths == nil {
		l.deaths = map[uint64]int{}
	}
	if l.deaths[number] += by; l.deaths[number] <= 0 {
		delete(l.deaths, number)
	}
}

// value is what is stored: the mark, then for each number its deaths. Frames below
// low are gone.
func (l *leased) value(low uint64) []byte {
	value := binary.AppendUvarint(nil, l.mark)
	for _, number := range slices.Sorted(maps.Keys(l.deaths)) {
		if number < low {
			delete(l.deaths, number)
			continue
		}
		value = binary.AppendUvarint(value, number)
		value = binary.AppendUvarint(value, uint64(l.deaths[number])) //nolint:gosec // positive
	}
	return value
}

func parseLeased(value []byte) (leased, error) {
	r := reader{value, nil}
	l := leased{mark: r.number()}
	l.earlier = l.mark
	for r.err == nil && len(r.left) > 0 {
		number, deaths := r.number(), r.number()
		if deaths == 0 || deaths > 1<<31 {
			r.err = errLayout
		}
		l.count(number, int(deaths)) //nolint:gosec // checked
	}
	return l, r.err
}
