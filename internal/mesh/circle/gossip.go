package circle

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/packet"
)

// gossip is where the nodes that are met are reached over TCP, as others are
// told. It is a list in the order in which they were met, so that whoever was
// told up to a mark is told the rest.
//
// The address of a node that was met over a Unix socket is the unspecified one
// with its port: it is wherever this node is.
type gossip struct {
	mu   sync.Mutex
	mark uint64
	told []told
	more chan struct{} // closed when there is more
}

type told struct {
	mark uint64
	link.Sighting
}

func (g *gossip) init() { g.more = make(chan struct{}) }

// add tells of a node.
func (g *gossip) add(who link.Hello, addr netip.AddrPort) {
	if !addr.IsValid() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), who.Port)
	}
	if len(who.Advertise) == 0 && (addr.Port() == 0 || addr.Addr().IsLinkLocalUnicast()) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(who.Boot)
	g.mark++
	g.told = append(g.told, told{g.mark, link.Sighting{Boot: who.Boot, Addr: addr, Advertise: who.Advertise}})
	close(g.more)
	g.more = make(chan struct{})
}

// remove tells of a node no more.
func (g *gossip) remove(boot packet.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(boot)
}

func (g *gossip) drop(boot packet.ID) {
	g.told = slices.DeleteFunc(g.told, func(t told) bool { return t.Boot == boot })
}

// Since gives what was told after the mark.
func (g *gossip) Since(mark uint64) ([]link.Sighting, uint64, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	from, _ := slices.BinarySearchFunc(g.told, mark+1, func(t told, mark uint64) int { return int(t.mark) - int(mark) })
	rest := g.told[from:]
	next := g.mark
	if len(rest) > link.MaxPeers {
		rest = rest[:link.MaxPeers]
		next = rest[len(rest)-1].mark
	}
	found := make([]link.Sighting, len(rest))
	for i, t := range rest {
		found[i] = t.Sighting
	}
	return found, next, g.more
}

// hear takes what a node tells of others.
func (c *Circle) hear(from *member, found []link.Sighting) {
	for _, s := range found {
		addr := s.Addr
		switch {
		case len(s.Advertise) > 0:
			if mesh.CheckAddresses(s.Advertise) != nil {
				continue
			}
		case !addr.IsValid():
			continue
		case addr.Addr().IsUnspecified():
			// On the machine of who tells; where that is this one, its socket
			// is seen here as well.
			if !from.addr.IsValid() {
				continue
			}
			addr = netip.AddrPortFrom(from.addr.Addr(), addr.Port())
		case addr.Addr().IsLoopback() && from.addr.IsValid() && !from.addr.Addr().IsLoopback():
			continue // its loopback is not ours
		}
		c.sight(s.Boot, addr, s.Advertise, mesh.ByNode)
	}
}
