package circle

import (
	"cmp"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
)

// An other is a node that answers, or says that it is there, and is not to be met.
type other struct {
	mesh.Outsider
	told bool // in the log
}

// wrongProtocol says why a node of another protocol is not met.
func wrongProtocol(theirs int) string {
	return fmt.Sprintf("it speaks protocol %d, and this node %d", theirs, mesh.Protocol)
}

// name lists a node that is not met, and says so in the log once.
func (c *Circle) name(who link.Hello, at string, by mesh.Source, reason mesh.Reason, why string) {
	c.mu.Lock()
	now := time.Now()
	o := c.others[who.Boot]
	if o == nil {
		o = &other{Outsider: mesh.Outsider{Boot: who.Boot, Since: now}}
		if len(c.others) >= maxOthers {
			c.forgetOther()
			o.told = true // the log is not to be filled by so many
		}
		c.others[who.Boot] = o
	}
	o.Node = cmp.Or(who.Node, o.Node)
	o.At, o.By, o.Reason, o.Why, o.Next, o.Seen = at, by, reason, why, reason.Next(who.Port), now
	tell := !o.told && (reason == mesh.OtherVersion || reason == mesh.Copied || now.Sub(o.Since) > clash)
	o.told = o.told || tell
	c.mu.Unlock()
	if tell {
		c.log.Warn("a node is not a peer", "node", cmp.Or(who.Node, who.Boot.String()), "at", at, "why", why, "next", reason.Next(who.Port))
	}
}

// forgetOther makes room for another: the one that was seen longest ago goes.
// The caller holds the lock.
func (c *Circle) forgetOther() {
	var oldest *other
	for _, o := range c.others {
		if oldest == nil || o.Seen.Before(oldest.Seen) {
			oldest = o
		}
	}
	delete(c.others, oldest.Boot)
}
