package inject

import (
	"fmt"
	"maps"
	"slices"

	"github.com/dustin/go-humanize/english"
)

// Counts are how many files of a folder became what.
type Counts struct {
	Taken   int // since the start
	Refused int // since the start: they are in .bad, or stay
	// Left are those that lie there and are none to take, and Changing those that are
	// written to.
	Left     int
	Changing int
}

// Counts may be asked for while the folder runs.
func (f *Folder) Counts() Counts {
	if c := f.counts.Load(); c != nil {
		return *c
	}
	return Counts{}
}

// count makes known how many files became what.
func (f *Folder) count(s *settling) {
	c := Counts{Taken: f.taken, Refused: f.refused, Changing: s.changing}
	if f.memory == nil { // else those are bad
		c.Left = len(f.left)
	}
	for _, found := range f.others {
		c.Left += found.count
	}
	f.counts.Store(&c)
}

// Others are what lies in a folder and is no file to take, of one kind.
type others struct {
	count int
	such  string // one of them
}

// tellOthers says what a look has found that is left alone: a line for each kind, and
// again when there are twice as many.
func (f *Folder) tellOthers(found map[string]others) {
	for _, why := range slices.Sorted(maps.Keys(found)) {
		if o := found[why]; o.count >= 2*f.told[why] {
			f.told[why] = o.count
			f.cfg.Log.Info(fmt.Sprintf("%s left alone: %s", english.Plural(o.count, "file is", "files are"), why), "such as", f.path(o.such))
		}
	}
	f.others = found
}
