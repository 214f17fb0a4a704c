package pebble

import (
	"time"
)

// A clock is the time of day as it was when the store was opened, and goes on
// evenly from there.
type clock struct {
	base  time.Time // with its monotonic reading
	start int64     // nanoseconds since 1970
}

func newClock(now func() time.Time) clock {
	return clock{base: time.Now(), start: now().UnixNano()}
}

// now is in nanoseconds since 1970.
func (c clock) now() int64 { return c.start + int64(time.Since(c.base)) }
