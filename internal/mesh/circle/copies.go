package circle

import (
	"net/netip"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/packet"
)

// doubtTime is how long another node has to say of a third that it has this one's data folder,
// and was there first, until it is believed: what it means may be this node's earlier self,
// which it has not missed yet.
const doubtTime = 15 * time.Second

// hello is who this node is, as others are told.
func (c *Circle) hello() link.Hello {
	c.mu.Lock()
	defer c.mu.Unlock()
	me := c.me
	me.Held = c.held
	return me
}

// refuseCopy gives the error for a node that runs on this node's data folder, one of them on a
// copy. If this one came second, it is said here.
func (c *Circle) refuseCopy(who link.Hello, at string, by mesh.Source) error {
	me := c.hello()
	if !me.CopyOf(who) {
		return nil
	}
	at = c.socketOf(who, at)
	if me.After(who) {
		c.hold(at)
		me.Held = true
	}
	c.name(who, at, by, mesh.Copied, mesh.Copied.Why())
	return &link.CopyError{Hello: me}
}

// socketOf is where the socket of a node is, if it has reached this one over one; else at.
func (c *Circle) socketOf(who link.Hello, at string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cand := range c.candidates {
		if at == thisMachine && cand.kind == socket && cand.node == who.Node {
			return cand.at()
		}
	}
	return at
}

// copied gives the error for a node of the same data folder as one that is here; nil is that
// the folders differ. The caller holds the lock.
func (c *Circle) copied(who link.Hello, here packet.ID) *link.CopyError {
	e := &link.CopyError{}
	if m := c.members[here]; m != nil {
		e.Hello, e.At = m.peer.Hello(), strings.TrimPrefix(m.peer.At(), "tcp://")
	} else if v := c.visits[here]; v != nil {
		e.Hello = v.who
		if at := v.at(); len(at) > 0 {
			e.At = at[0]
		}
	}
	if !who.CopyOf(e.Hello) || mesh.CheckAddress(e.At) != nil {
		return nil // without an address it cannot be told from the node that refuses
	}
	return e
}

// refusedAsCopy takes what a node says that refuses this one, since another of the same data
// folder is there: it itself, or a third. That is tried directly, and believed after a while if
// it cannot be reached; until then there is doubt.
func (c *Circle) refusedAsCopy(cand *candidate, e *link.CopyError) (doubt bool) {
	me := c.hello()
	if !me.CopyOf(e.Hello) {
		return false
	}
	if e.At == "" {
		c.name(e.Hello, cand.at(), c.source(cand), mesh.Copied, mesh.Copied.Why())
	}
	switch {
	case me.Held, !me.After(e.Hello):
		return false
	case e.At == "":
		c.hold(cand.at())
		return false
	}
	c.sight(e.Hello.Boot, netip.AddrPort{}, []string{e.At}, mesh.ByNode)
	c.mu.Lock()
	believed := !cand.since.IsZero() && time.Since(cand.since) > doubtTime
	c.mu.Unlock()
	if believed {
		c.hold("tcp://" + e.At)
	}
	return !believed
}

// hold has the node hold back what is stored in its data folder: another of the same was there
// first. It is for good: what that has run must not run again when it ends.
func (c *Circle) hold(at string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held && c.cfg.Copied != nil {
		c.cfg.Copied(at) // before there is no doubt any more
	}
	c.held = true
}

// Doubtful tells whether another node says that this one's data folder is that of a third, and
// it is not known yet whether that is so.
func (c *Circle) Doubtful() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cand := range c.candidates {
		if !c.held && cand.doubt {
			return true
		}
	}
	return false
}
