package cluster

import (
	"sync/atomic"
	"time"
)

// A clock tells the time of the cluster, once it was asked.
type clock struct{ asked atomic.Pointer[instant] }

// An instant is one in the time of this machine and of the cluster.
type instant struct{ here, there time.Time }

// set notes what time it is there now.
func (c *clock) set(there time.Time) { c.asked.Store(&instant{time.Now(), there}) }

// now is the cluster's time.
func (c *clock) now() time.Time {
	if at := c.asked.Load(); at != nil {
		return at.there.Add(time.Since(at.here))
	}
	return time.Now()
}
