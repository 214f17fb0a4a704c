package node

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// lentTo is what that start of a peer has leased. The caller holds l.mu.
func (l *lender) lentTo(peer string, boot packet.ID) *lent {
	to := l.to[boot]
	if to == nil {
		l.starts++
		to = &lent{
			peer: peer, since: l.starts, leases: map[store.Ref]*guestLease{}, open: map[*session]bool{}, over: l.ended,
			outlived: l.outlived, giveBack: l.takeBackFrom,
		}
		l.to[boot] = to
	}
	return to
}

// connect is called when a start of a peer has connected. The leases of its earlier starts
// end: their processes have died, unless they are connected as well.
func (l *lender) connect(by *session, peer string, boot packet.ID) *lent {
	l.mu.Lock()
	to := l.lentTo(peer, boot)
	to.connect(by)
	var dead []*lent
	for other, o := range l.to {
		if o != to && o.peer == peer && o.die() {
			dead = append(dead, o)
			delete(l.to, other)
		} else if o.unused() {
			delete(l.to, other)
		}
	}
	l.mu.Unlock()
	for _, o := range dead {
		o.remove(died, all)
	}
	return to
}

// disconnected is called when a connection of a start of a peer has ended. If a later start
// is connected, this one's process has died, which was not seen before.
func (l *lender) disconnected(to *lent) {
	l.mu.Lock()
	later := false
	for _, o := range l.to {
		later = later || o != to && o.peer == to.peer && o.since > to.since && o.connected()
	}
	later = later && to.die()
	l.mu.Unlock()
	if later {
		to.remove(died, all)
	}
}

// stopLending ends all waiting for peers.
func (l *lender) stopLending() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, to := range l.to {
		to.stop()
	}
}

// outlived is how long a lease outlives the silence of its holder.
func (l *lender) outlived(lease *guestLease) time.Duration {
	name, _ := lease.at.Seed()
	snap := l.snap.Load()
	run := max(lease.cost, snap.costs[name])
	if h := snap.hosts[name]; h != nil {
		run = max(run, h.cost.get())
	}
	return outlived(run, time.Since(lease.since))
}

// takeBackFrom releases what a peer had leased. Silence is no death: only that of a peer
// which is known to have died counts, as it would in a crash of this node.
func (l *lender) takeBackFrom(peer string, leases []*guestLease, why ending) {
	if why != returned {
		l.lapsed.Add(int64(len(leases)))
	}
	if why == lapsed {
		l.log.Info(fmt.Sprintf("node %s was silent for too long: %s that it had leased may run elsewhere", peer, english.Plural(len(leases), "frame", "")), "node", peer)
	}
	frames := make([]store.Ref, len(leases))
	for i, lease := range leases {
		frames[i] = lease.ref()
	}
	l.forgetLent(frames)
	for _, lease := range leases {
		var err error
		if why == died {
			err = lease.Lease.Release(0)
		} else {
			err = l.giveBack(nil, lease.at, lease.Lease, 0)
		}
		if err != nil {
			l.log.Debug("releasing what a peer had leased", "node", peer, "error", err)
		}
	}
}

// guestLease is a lease for a peer.
func (l *lender) guestLease(at store.Queue, lease store.Lease) *guestLease {
	out := &guestLease{Lease: lease, at: at, deaths: l.deaths(at, lease), since: time.Now()}
	if name, ok := at.Seed(); ok {
		out.cost = l.snap.Load().costs[name]
	}
	return out
}

// A borrower is one start of a peer.
type borrower struct {
	peer string
	boot packet.ID
}

// restoreLent leases again what peers had leased when this node ended, in their names:
// they may run it still. It tries until that works, or the node ends.
func (l *lender) restoreLent() {
	defer close(l.known)
	if !l.notesLent() {
		return
	}
	var noted map[borrower][]store.Ref
	err := storePauses.Until(l.running, func() (err error) {
		noted, err = l.readNotes()
		return err
	}, l.storeTrouble)
	if err != nil {
		return // the node ends
	}
	for who, frames := range noted { // one after the other: what was leased is not leased again
		_ = storePauses.Until(l.running, func() error { return l.restoreTo(who, frames) }, l.storeTrouble)
	}
}

// readNotes is what peers had leased, as far as it was written down.
func (l *lender) readNotes() (map[borrower][]store.Ref, error) {
	noted := map[borrower][]store.Ref{}
	err := l.store.Scan(l.running, lentTable, "", func(key string, value []byte) bool {
		at, number, ok := strings.Cut(key, "\x00")
		if !ok || len(number) != 8 || len(value) < 16 {
			return true
		}
		who := borrower{string(value[16:]), packet.IDOf([16]byte(value))}
		noted[who] = append(noted[who], store.Ref{At: store.Queue(at), Number: binary.BigEndian.Uint64([]byte(number))})
		return true
	})
	return noted, err
}

// restoreTo leases frames again for one start of a peer; where that fails, none of them.
func (l *lender) restoreTo(who borrower, frames []store.Ref) error {
	found, err := l.store.(taker).Take(frames)
	if err != nil {
		return err
	}
	var leases []*guestLease
	var ended []store.Ref
	for i, lease := range found {
		if lease == nil {
			ended = append(ended, frames[i])
			continue
		}
		l.noteReturn(nil, frames[i].At, lease) // that this node ended is not the frame's doing
		leases = append(leases, l.guestLease(frames[i].At, lease))
	}
	l.forgetLent(ended)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lentTo(who.peer, who.boot).restore(leases, time.Now().Add(spokenTime))
	return nil
}
