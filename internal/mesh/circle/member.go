package circle

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/packet"
)

// A member is a node that is met.
type member struct {
	peer  *link.Peer
	kind  way
	addr  netip.AddrPort // over TCP
	known bool           // it was met already, over a way as good as this
	gone  chan struct{}  // closed when it is no member any more
	alone time.Time      // since when it does not reach this node; zero while it does
}

// A visit is a node that has met this one.
type visit struct {
	who  link.Hello
	from netip.AddrPort // with the port that it listens on; zero for this machine
	n    int            // how many watches there are
	// since is when it began.
	since time.Time
}

// thisMachine is where a node is that has reached this one over its socket.
const thisMachine = "this machine"

// clash is how long two nodes of one name have to be there before it is told:
// one that starts again is there before its earlier self is missed.
const clash = 6 * time.Second

// errNamesake is a second node of a name.
var errNamesake = errors.New("two nodes have one name")

// sameName is the error for a second node of a name.
func sameName(name string, first packet.ID) error {
	return fmt.Errorf("%w: another node of the network is called %s (boot %s) and was there first: a node has its name from its data folder: give one of them another with --data DIR", errNamesake, name, first)
}

// namesake finds another node of that name. The caller holds the lock.
func (c *Circle) namesake(who link.Hello) (packet.ID, bool) {
	if who.Node == c.me.Node && who.Boot != c.me.Boot {
		return c.me.Boot, true
	}
	for boot, m := range c.members {
		if boot != who.Boot && m.peer.Hello().Node == who.Node {
			return boot, true
		}
	}
	for boot, v := range c.visits {
		if boot != who.Boot && v.who.Node == who.Node {
			return boot, true
		}
	}
	return packet.ID{}, false
}

// admit takes a node in that was reached. It gives the connection that this one
// takes the place of, if there is one.
func (c *Circle) admit(cand *candidate, m *member) (replaced *link.Peer, err error) {
	who := m.peer.Hello()
	if err := c.refuseCopy(who, cand.at(), c.source(cand)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	cand.boot = who.Boot
	if first, there := c.namesake(who); there {
		c.mu.Unlock()
		err := sameName(who.Node, first)
		c.name(who, cand.at(), c.source(cand), mesh.NameTaken, err.Error())
		return nil, err
	}
	old := c.members[who.Boot]
	recovered := cand.failed.reason != "" && cand.kind == join
	cand.failed, cand.met, cand.logged, cand.doubt, cand.told, cand.since = failure{}, true, nil, false, false, time.Time{}
	c.believe(cand)
	delete(c.others, who.Boot)
	switch {
	case old != nil && (old.kind == socket || m.kind != socket):
		m.known = true
	case old != nil:
		replaced = old.peer
		fallthrough
	default:
		c.members[who.Boot] = m
		if c.visits[who.Boot] == nil {
			m.alone = time.Now()
		}
	}
	c.mu.Unlock()
	if cand.kind == join && (recovered || m.known) {
		c.log.Info("joined", "address", cand.addr, "node", who.Node)
	}
	if m.known {
		return nil, nil
	}
	if replaced == nil {
		c.log.Info("connected to node "+who.Node, "node", who.Node, "at", m.peer.At())
	}
	c.gossip.add(who, m.addr)
	c.changed()
	return replaced, nil
}

// lost takes a node out that is gone.
func (c *Circle) lost(m *member, why error) {
	boot := m.peer.Boot()
	defer close(m.gone)
	c.mu.Lock()
	current := c.members[boot] == m
	if current {
		delete(c.members, boot)
	}
	ends := c.ctx.Err() != nil
	c.mu.Unlock()
	if !current {
		return // another way to it has taken this one's place
	}
	c.gossip.remove(boot)
	if !ends {
		c.log.Info("node "+m.peer.Hello().Node+" has gone", "node", m.peer.Hello().Node, "at", m.peer.At(), "why", why)
	}
	c.changed()
}

// visit lets a node in that has reached this one, or refuses it.
func (c *Circle) visit(who link.Hello, from netip.AddrPort) (leave func(), err error) {
	at := thisMachine
	if from.IsValid() {
		from = netip.AddrPortFrom(from.Addr(), who.Port)
		at = "tcp://" + from.String()
	}
	if len(who.Advertise) > 0 {
		at = "tcp://" + who.Advertise[0]
	}
	if who.Boot == c.me.Boot {
		return nil, link.ErrSelf
	}
	if who.Protocol != mesh.Protocol {
		c.name(who, at, mesh.ByItself, mesh.OtherVersion, wrongProtocol(who.Protocol))
		return func() {}, nil
	}
	if err := c.refuseCopy(who, at, mesh.ByItself); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if first, there := c.namesake(who); there {
		copied := c.copied(who, first)
		c.mu.Unlock()
		if copied != nil {
			c.name(who, at, mesh.ByItself, mesh.Copied, mesh.Copied.Why())
			return nil, copied
		}
		err := sameName(who.Node, first)
		c.name(who, at, mesh.ByItself, mesh.NameTaken, err.Error())
		return nil, fmt.Errorf("%w: %w", link.ErrRefused, err)
	}
	v := c.visits[who.Boot]
	if v == nil {
		v = &visit{who: who, from: from, since: time.Now()}
		c.visits[who.Boot] = v
	}
	v.n++
	if m := c.members[who.Boot]; m != nil {
		m.alone = time.Time{}
	}
	c.mu.Unlock()
	if from.IsValid() {
		c.sight(who.Boot, from, who.Advertise, mesh.ByItself)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if v.n--; v.n == 0 {
			delete(c.visits, who.Boot)
			if m := c.members[who.Boot]; m != nil {
				m.alone = time.Now()
			}
		}
	}, nil
}
