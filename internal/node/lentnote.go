package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// What peers have leased is a table, so that this node knows it when it starts again:
// under
//
//	QUEUE 0 NUMBER(8)  big endian
//
// the 16 bytes of the peer's boot id, and its name. The record goes when the lease
// ends; like the lease, it does not wait for the disk.
const lentTable store.Table = "lent"

// A taker is a store that leases the frames that it is told.
type taker interface {
	Take(frames []store.Ref) ([]store.Lease, error)
}

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
		n.log.Info(fmt.Sprintf("%s that node %s had leased: it has been silent for too long, and they run elsewhere", english.Plural(len(leases), "frame", ""), peer))
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

// notesLent tells whether the node writes down what is leased to peers.
func (n *Node) notesLent() bool {
	_, able := n.store.(taker)
	return able && n.durable()
}

func lentKey(f store.Ref) store.Key {
	return store.Key{In: lentTable, Key: string(progressKey(f.At, f.Number))}
}

// noteLent writes down which start of a peer has leased what.
func (n *Node) noteLent(peer string, boot packet.ID, frames []store.Ref) {
	if !n.notesLent() {
		return
	}
	tx := &store.Tx{}
	value := append(boot.Append(nil), peer...)
	for _, f := range frames {
		tx.Put = append(tx.Put, store.Record{Key: lentKey(f), Value: value})
	}
	if err := n.store.Commit(context.Background(), tx); err != nil {
		n.log.Debug("noting what a peer has leased", "node", peer, "error", err)
	}
}

// forgetLent removes what noteLent wrote.
func (n *Node) forgetLent(frames []store.Ref) {
	if !n.notesLent() || len(frames) == 0 {
		return
	}
	tx := &store.Tx{}
	for _, f := range frames {
		tx.Delete = append(tx.Delete, lentKey(f))
	}
	if err := n.store.Commit(context.Background(), tx); err != nil {
		n.log.Debug("noting that a peer does not have frames any more", "error", err)
	}
}

// restoreLent leases again what peers had leased when this node ended, in their names:
// they may run it still. It tries until that works, or the node ends.
func (n *Node) restoreLent() {
	defer close(n.borrowers.known)
	if !n.notesLent() {
		return
	}
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := n.tryRestoreLent()
		if err == nil || n.running.Err() != nil {
			return
		}
		n.storeTrouble(err)
		if !pause.For(n.running, wait) {
			return
		}
	}
}

func (n *Node) tryRestoreLent() error {
	type holder struct {
		peer string
		boot packet.ID
	}
	frames := map[holder][]store.Ref{}
	err := n.store.Scan(n.running, lentTable, "", func(key string, value []byte) bool {
		at, number, ok := strings.Cut(key, "\x00")
		if !ok || len(number) != 8 || len(value) < 16 {
			return true
		}
		h := holder{string(value[16:]), packet.IDOf([16]byte(value))}
		frames[h] = append(frames[h], store.Ref{At: store.Queue(at), Number: binary.BigEndian.Uint64([]byte(number))})
		return true
	})
	if err != nil {
		return err
	}
	until := time.Now().Add(spokenTime)
	for h, refs := range frames {
		found, err := n.store.(taker).Take(refs)
		if err != nil {
			return err
		}
		var leases []*guestLease
		var ended []store.Ref
		for i, lease := range found {
			if lease == nil {
				ended = append(ended, refs[i])
				continue
			}
			n.noteReturn(nil, refs[i].At, lease) // that this node ended is not the frame's doing
			leases = append(leases, n.guestLease(refs[i].At, lease))
		}
		n.forgetLent(ended)
		n.borrowers.mu.Lock()
		n.borrowers.lent(n, h.peer, h.boot).restore(leases, until)
		n.borrowers.mu.Unlock()
	}
	return nil
}
