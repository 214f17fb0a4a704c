package circle

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

const (
	// shown is how long a node that is not met is listed after there was a sign of it, and
	// shownBeacon the same for one that only beacons tell of.
	shown       = 10 * time.Minute
	shownBeacon = forgetBeacon
	// afterwards is how long after a node was missed a sign of it has to come to count: what
	// is heard at the moment of its end is none.
	afterwards = 3 * time.Second
)

// Unmet lists the nodes that were seen and are not met, those that are met one way only, and
// the addresses to join where none is met.
func (c *Circle) Unmet() []mesh.Outsider {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unmet(time.Now())
}

// unmet is what Unmet lists. The caller holds the lock.
func (c *Circle) unmet(now time.Time) []mesh.Outsider {
	var all []mesh.Outsider
	add := func(o mesh.Outsider, ok bool) {
		if ok {
			all = append(all, o)
		}
	}
	for boot, o := range c.others {
		if now.Sub(o.Seen) > shown {
			delete(c.others, boot)
			continue
		}
		add(o.Outsider, c.members[boot] == nil && c.visits[boot] == nil)
	}
	for boot, v := range c.visits {
		if c.members[boot] == nil {
			add(c.unreached(v, now))
		}
	}
	for boot, m := range c.members {
		if c.visits[boot] == nil {
			add(c.unvisited(m, now))
		}
	}
	for _, cand := range c.candidates {
		if c.members[cand.boot] == nil && c.visits[cand.boot] == nil && c.others[cand.boot] == nil {
			add(cand.unmet(now))
		}
	}
	slices.SortFunc(all, func(a, b mesh.Outsider) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.At, b.At))
	})
	return all
}

// unmet is the candidate as one that is not met; false where it is not to be listed.
func (cand *candidate) unmet(now time.Time) (mesh.Outsider, bool) {
	f := &cand.failed
	o := mesh.Outsider{
		Node: cand.node, Boot: cand.boot, At: cand.at(), By: cand.by, Reason: f.reason,
		Since: f.since, Seen: cand.heard,
	}
	longest := shown
	if cand.unbelieved != nil {
		longest = shownBeacon
	}
	switch {
	case f.reason == "", f.reason == ownAddress:
		return o, false
	case cand.kind == join: // somebody wants it met
	case cand.kind == socket, cand.by == mesh.ByItself, now.Sub(cand.heard) > longest, cand.met && cand.heard.Sub(f.began) < afterwards:
		return o, false // it has ended, as far as can be seen
	}
	o.Why, o.Next = f.why(), f.reason.Next(cand.port())
	return o, true
}

// unreached is a node that reaches this one and is not met. The caller holds the lock.
func (c *Circle) unreached(v *visit, now time.Time) (mesh.Outsider, bool) {
	o := mesh.Outsider{
		Node: v.who.Node, Boot: v.who.Boot, At: thisMachine, By: mesh.ByItself, Reason: mesh.OneWay,
		Why: "it reaches this node, and this node does not reach it: ", Since: v.since, Seen: now,
	}
	at := v.at()
	var cand *candidate
	if len(at) > 0 {
		o.At = "tcp://" + at[0]
		cand = c.candidates[o.At]
	}
	switch {
	case cand != nil && cand.failed.reason != "":
		o.Why += cand.failed.why()
		o.Next = cand.failed.reason.Next(cand.port())
		return o, true
	case len(at) == 0:
		o.Why += "its socket is not in the folder where this node looks"
	case len(v.who.Advertise) == 0 && v.from.Port() == 0:
		o.Why += "it listens on no TCP port"
		o.Next = "start it without --endpoint.type ipc"
	default:
		o.Why += "it was not tried yet"
	}
	return o, now.Sub(v.since) > clash
}

// at are the addresses at which it may be reached over TCP.
func (v *visit) at() []string {
	if len(v.who.Advertise) == 0 && v.from.IsValid() {
		return []string{v.from.String()}
	}
	return v.who.Advertise
}

// unvisited is a node that is met and does not reach this one. The caller holds the lock.
func (c *Circle) unvisited(m *member, now time.Time) (mesh.Outsider, bool) {
	who := m.peer.Hello()
	o := mesh.Outsider{
		Node: who.Node, Boot: who.Boot, At: m.peer.At(), By: mesh.ByItself, Reason: mesh.OneWay,
		Why: mesh.OneWay.Why(), Since: m.alone, Seen: m.peer.Seen(),
	}
	if m.kind != socket {
		o.Next = mesh.OneWay.Next(c.me.Port)
	}
	return o, !m.alone.IsZero() && now.Sub(m.alone) > settled
}

const (
	// unmetPeriod is how often the log may tell of nodes that are not met.
	unmetPeriod = 5 * time.Second
	// remembered is how long it is remembered that the log has told of one.
	remembered = time.Hour
	// maxTold is of how many nodes of which only beacons tell the log tells in that time:
	// whoever has recorded some can send them again, from many addresses.
	maxTold = 64
)

// watchUnmet tells the log of nodes that are not met, once for each and reason, until ctx ends.
func (c *Circle) watchUnmet(ctx context.Context) {
	tick := time.NewTicker(unmetPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, o := range c.news(time.Now()) {
			c.log.Warn("a node is not reached", "node", cmp.Or(o.Node, "unknown"), "at", o.At, "reason", o.Reason, "why", o.Why, "next", o.Next, "known by", o.By)
		}
	}
}

// news are those of whom the log has not told.
func (c *Circle) news(now time.Time) []mesh.Outsider {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notices.of(c.unmet(now), now)
}

// A notice is a node and a reason of which the log has told.
type notice struct {
	boot   packet.ID
	at     string
	reason mesh.Reason
}

// notices are those of late, and when each was last true.
type notices map[notice]time.Time

// of are those outsiders of whom the log is to tell now. What has another way to be told is
// left out: an address to join at once, and what [Circle.name] is told of.
func (n notices) of(all []mesh.Outsider, now time.Time) (tell []mesh.Outsider) {
	beacons := 0
	for what, last := range n {
		if now.Sub(last) > remembered {
			delete(n, what)
		} else if what.boot.IsZero() {
			beacons++
		}
	}
	for _, o := range all {
		what := notice{o.Boot, o.At, o.Reason}
		switch {
		case o.By == mesh.ByJoin, o.Reason == mesh.OtherVersion, o.Reason == mesh.NameTaken, o.Reason == mesh.Copied, now.Sub(o.Since) <= clash:
			continue
		case o.By == mesh.ByBeacon:
			what.boot = packet.ID{} // a recording names any
		}
		if _, told := n[what]; told {
			n[what] = now
			continue
		}
		if len(n) >= maxOthers || o.By == mesh.ByBeacon && beacons >= maxTold {
			continue
		}
		if o.By == mesh.ByBeacon {
			beacons++
		}
		n[what] = now
		tell = append(tell, o)
	}
	return tell
}
