package inject

import "sync/atomic"

// Counts are how many files of a folder became what.
type Counts struct {
	Taken   int // since the start
	Refused int // since the start: they are in .bad, or stay
	// Left are those that lie there and are none to take, and Changing those that are
	// written to.
	Left     int
	Changing int
}

// A tally counts files.
type tally struct {
	taken, refused int
	counts         atomic.Pointer[Counts]
}

// Counts may be asked for while the folder runs.
func (t *tally) Counts() Counts {
	if c := t.counts.Load(); c != nil {
		return *c
	}
	return Counts{}
}

// publish makes known how many files became what.
func (t *tally) publish(left, changing int) {
	t.counts.Store(&Counts{Taken: t.taken, Refused: t.refused, Left: left, Changing: changing})
}
