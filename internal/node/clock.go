package node

import "time"

// A clock reads the time cheaply: a reading is the time since it was made.
type clock struct{ base time.Time }

func (c clock) now() time.Duration { return time.Since(c.base) }

func (c clock) at(d time.Duration) time.Time { return c.base.Add(d) }
