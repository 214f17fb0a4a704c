package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// borrowers are the peers that have leased frames of the own store, by boot.
type borrowers struct {
	mu    sync.Mutex
	of    map[packet.ID]*lent
	ended bool
	// known is closed when it is known what was leased before the node started.
	known chan struct{}
}

// lent is what that start of a peer has leased. The caller holds b.mu.
func (b *borrowers) lent(n *Node, peer string, boot packet.ID) *lent {
	l := b.of[boot]
	if l == nil {
		l = &lent{
			peer: peer, leases: map[store.Ref]*guestLease{}, open: map[*guest]bool{}, over: b.ended,
			outlived: n.outlived, giveBack: n.takeBack,
		}
		b.of[boot] = l
	}
	return l
}

// connect is called when a peer has connected. The leases of its earlier starts end:
// their processes have died, unless they are connected as well.
func (b *borrowers) connect(g *guest) *lent {
	b.mu.Lock()
	l := b.lent(g.node, g.peer, g.boot)
	l.connect(g)
	var dead []*lent
	for other, o := range b.of {
		if o != l && o.peer == g.peer && o.die() {
			dead = append(dead, o)
			delete(b.of, other)
		} else if o.unused() {
			delete(b.of, other)
		}
	}
	b.mu.Unlock()
	for _, o := range dead {
		o.remove(died, all)
	}
	return l
}

// stop ends all waiting for peers.
func (b *borrowers) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	for _, l := range b.of {
		l.stop()
	}
}

// outlived is how long a lease outlives the silence of its holder.
func (n *Node) outlived(l *guestLease) time.Duration {
	name, _ := l.at.Seed()
	snap := n.snap.Load()
	run := max(l.cost, snap.costs[name])
	if h := snap.hosts[name]; h != nil {
		run = max(run, h.cost.get())
	}
	return outlived(run, time.Since(l.since))
}

// takeBack releases what a peer had leased. Silence is no death: only that of a peer
// which is known to have died counts, as it would in a crash of this node.
func (n *Node) takeBack(peer string, leases []*guestLease, why ending) {
	if why != returned {
		n.lapsed.Add(int64(len(leases)))
	}
	if why == lapsed {
		n.log.Info(fmt.Sprintf("node %s was silent for too long: %s that it had leased may run elsewhere", peer, english.Plural(len(leases), "frame", "")))
	}
	frames := make([]store.Ref, len(leases))
	for i, l := range leases {
		frames[i] = l.ref()
	}
	n.forgetLent(frames)
	for _, l := range leases {
		var err error
		if why == died {
			err = l.Lease.Release(0)
		} else {
			err = n.giveBack(nil, l.at, l.Lease, 0)
		}
		if err != nil {
			n.log.Debug("releasing what a peer had leased", "node", peer, "error", err)
		}
	}
}
