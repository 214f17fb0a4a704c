package node

import (
	"context"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A move takes one frame that nobody has leased out of a queue of the own store
// and puts its packets elsewhere, in one transaction.
type move struct {
	node *Node
	at   store.Queue
	old  *store.Stored
	ps   []packet.Packet
	to   framer
	// notes are records of ledgers in other nodes' stores; they are to be
	// stored before.
	notes []*commit
}

// put puts a packet into lanes of the own store.
func (m *move) put(p *packet.Packet, to []lane) {
	size := storedSize(p)
	for _, l := range to {
		m.to.add(l, m.node.frameMost(l.queue), p, size, 0, nil)
	}
}

// stay puts a packet back where it was.
func (m *move) stay(p *packet.Packet) {
	m.put(p, []lane{{queue: m.at, rank: store.Descendant}})
}

// lanesTo lead to where a packet goes next.
func (m *move) lanesTo(p *packet.Packet, to []dest) []lane {
	if len(to) == 0 {
		return []lane{{queue: store.Waiting(p.State), rank: store.Descendant}}
	}
	lanes := make([]lane, len(to))
	for i := range to {
		lanes[i] = lane{queue: to[i].inbox, rank: store.Descendant, sole: to[i].sole}
	}
	return lanes
}

// note writes a record into the ledger of p with the move.
func (m *move) note(p *packet.Packet, r *record) error {
	ledger, ok := m.node.ledgerOf(p, r)
	if !ok {
		return nil
	}
	if m.node.keeper(p) == nil {
		for _, lines := range r.parts() {
			m.put(entryOf(p, lines), []lane{{queue: store.Ledger(ledger), rank: store.Descendant}})
		}
		return nil
	}
	f, err := m.node.note(m.node.running, &item{Packet: *p}, r)
	if f != nil {
		m.notes = append(m.notes, f)
	}
	return err
}

// noteMove writes down that p goes from one place to others.
func (m *move) noteMove(p *packet.Packet, from string, to []dest) error {
	var r record
	r.end(p.ID, from)
	r.beginAll(p, to)
	return m.note(p, &r)
}

// commit does it, without waiting for the disk.
func (m *move) commit(ctx context.Context) error {
	n := m.node
	for _, f := range m.notes {
		if err := f.await(ctx); err != nil {
			return err
		}
	}
	tx := &store.Tx{Remove: []store.Ref{{At: m.at, Number: m.old.Number}}}
	if err := n.commit(tx, m.to.frames); err != nil {
		return err
	}
	n.waitingStored(m.to.frames)
	m.to.free()
	n.dropLater(blobsOf(m.ps))
	return nil
}
