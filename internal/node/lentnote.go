package node

import (
	"context"
	"time"

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

// notesLent tells whether the node writes down what is leased to peers.
func (l *lender) notesLent() bool {
	return l.leases() && l.durable()
}

func lentKey(f store.Ref) store.Key {
	return store.Key{In: lentTable, Key: string(progressKey(f.At, f.Number))}
}

// noteLent writes down which start of a peer has leased what.
func (l *lender) noteLent(peer string, boot packet.ID, frames []store.Ref) {
	if !l.notesLent() {
		return
	}
	tx := &store.Tx{}
	value := append(boot.Append(nil), peer...)
	for _, f := range frames {
		tx.Put = append(tx.Put, store.Record{Key: lentKey(f), Value: value})
	}
	if err := l.store.Commit(context.Background(), tx); err != nil {
		l.log.Debug("noting what a peer has leased", "node", peer, "error", err)
		return
	}
	select {
	case l.noted <- struct{}{}:
	default: // others are to be written out
	}
}

// notesPause is how often notes are written out at most.
const notesPause = 50 * time.Millisecond

// writeNotesOut has notes reach the disk soon, though nobody waits for that: a store may
// keep what nobody waits for in memory, where it ends with the process.
func (l *lender) writeNotesOut() {
	for {
		select {
		case <-l.noted:
		case <-l.running.Done():
			return
		}
		if err := l.store.Commit(context.Background(), &store.Tx{Durable: true}); err != nil {
			l.log.Debug("writing out what peers have leased", "error", err)
		}
		if !pause.For(l.running, notesPause) { // one fsync is for all that come meanwhile
			return
		}
	}
}

// forgetLent removes what noteLent wrote.
func (l *lender) forgetLent(frames []store.Ref) {
	if !l.notesLent() || len(frames) == 0 {
		return
	}
	tx := &store.Tx{}
	for _, f := range frames {
		tx.Delete = append(tx.Delete, lentKey(f))
	}
	if err := l.store.Commit(context.Background(), tx); err != nil {
		l.log.Debug("noting that a peer does not have frames any more", "error", err)
	}
}
