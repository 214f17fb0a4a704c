package node

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

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

// notesLent tells whether the node writes down what is leased to peers.
func (n *Node) notesLent() bool {
	return n.leases() && n.durable()
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
		return
	}
	select {
	case n.noted <- struct{}{}:
	default: // others are to be written out
	}
}

// writeNotesOut has notes reach the disk soon, though nobody waits for that: a store may
// keep what nobody waits for in memory, where it ends with the process.
func (n *Node) writeNotesOut() {
	for {
		select {
		case <-n.noted:
		case <-n.running.Done():
			return
		}
		if err := n.store.Commit(context.Background(), &store.Tx{Durable: true}); err != nil {
			n.log.Debug("writing out what peers have leased", "error", err)
		}
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
	_ = storePauses.Until(n.running, n.tryRestoreLent, n.storeTrouble)
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
