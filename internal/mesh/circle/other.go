package circle

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/packet"
)

// An Other is another node, for display.
type Other struct {
	Node    string    `json:"node,omitempty"` // "" where it has not told
	Boot    packet.ID `json:"boot"`
	Version string    `json:"version,omitempty"`
	At      string    `json:"at"`
	Seen    time.Time `json:"seen"`
	// Why says why the node is not met; "" for one that is.
	Why string `json:"why,omitempty"`

	since time.Time // it is named
	told  bool      // in the log
}

// wrongProtocol says why a node of another protocol is not met.
func wrongProtocol(theirs int) string {
	return fmt.Sprintf("it speaks protocol %d, and this node %d: run the same version of pmk on both", theirs, mesh.Protocol)
}

// name lists a node that is not met, and says so in the log once.
func (c *Circle) name(who link.Hello, at, why string) {
	c.mu.Lock()
	now := time.Now()
	o := c.others[who.Boot]
	if o == nil {
		o = &Other{Boot: who.Boot, since: now}
		if len(c.others) >= maxOthers {
			c.forgetOther()
			o.told = true // the log is not to be filled by so many
		}
		c.others[who.Boot] = o
	}
	o.Node, o.Version = cmp.Or(who.Node, o.Node), cmp.Or(who.Version, o.Version)
	o.At, o.Seen, o.Why = at, now, why
	tell := !o.told && (who.Protocol != mesh.Protocol || now.Sub(o.since) > clash)
	o.told = o.told || tell
	c.mu.Unlock()
	if tell {
		c.log.Warn("a node is not a peer", "node", cmp.Or(who.Node, who.Boot.String()), "at", at, "why", why)
	}
}

// forgetOther makes room for another: the one that was seen longest ago goes.
// The caller holds the lock.
func (c *Circle) forgetOther() {
	var oldest *Other
	for _, o := range c.others {
		if oldest == nil || o.Seen.Before(oldest.Seen) {
			oldest = o
		}
	}
	delete(c.others, oldest.Boot)
}

// shown is how long a node that is not met is listed after it was seen last.
const shown = 10 * time.Minute

// Others lists the other nodes: those that are met, those that have met this one
// and cannot be met, and those that are named and not obeyed.
func (c *Circle) Others() []Other {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Other
	for boot, m := range c.members {
		who := m.peer.Hello()
		all = append(all, Other{Node: who.Node, Boot: boot, Version: who.Version, At: m.peer.At(), Seen: m.peer.Seen()})
	}
	now := time.Now()
	for boot, v := range c.visits {
		if c.members[boot] != nil {
			continue
		}
		at, why := "this machine", "it reaches us, but we cannot reach it: its socket is not in the folder where we look"
		if v.from.IsValid() {
			at, why = "tcp://"+v.from.String(), c.unreachable(v.from)
		}
		all = append(all, Other{Node: v.who.Node, Boot: boot, Version: v.who.Version, At: at, Seen: now, Why: why})
	}
	for boot, o := range c.others {
		if now.Sub(o.Seen) > shown {
			delete(c.others, boot)
			continue
		}
		if c.members[boot] == nil && c.visits[boot] == nil {
			all = append(all, *o)
		}
	}
	slices.SortFunc(all, func(a, b Other) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.At, b.At))
	})
	return all
}

// unreachable says why a node that is here cannot be met. The caller holds the
// lock.
func (c *Circle) unreachable(from netip.AddrPort) string {
	if from.Port() == 0 {
		return "it reaches us, but we cannot reach it: it listens on no TCP port"
	}
	why := "it reaches us, but we cannot reach it at " + from.String()
	if cand := c.candidates["tcp://"+from.String()]; cand != nil && cand.failed != "" {
		why += ": " + cand.failed
	}
	return why
}
