package node

import (
	"context"
	"errors"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A move takes one frame that nobody has leased out of a queue of the own store
// and puts its packets elsewhere, in one transaction.
type move struct {
	*found
	flow *flow
	to   framer
	// frame has the lease of one that others might lease; nil where nobody can.
	frame *origin
	// notes are records of ledgers in other nodes' stores; they are to be
	// stored before.
	notes []*commit
}

// errAtWork is a frame that somebody has leased.
var errAtWork = errors.New("it is at work")

// lease leases the frame, which a seed that has ended may still run, and reads what came
// of it. Where a frame cannot be leased alone it is taken as it is.
func (m *move) lease() error {
	f := m.flow
	if !f.leases() {
		return nil
	}
	leases, err := f.store.(taker).Take([]store.Ref{{At: m.at, Number: m.Number}})
	if err != nil {
		return err
	}
	if leases[0] == nil {
		return errAtWork
	}
	m.frame = f.origin(nil, m.at, leases[0], m.packets)
	if err := f.learnBefore(m.frame); err != nil {
		m.end()
		return err
	}
	return nil
}

// end gives the frame back if it was not moved.
func (m *move) end() {
	if m.frame == nil || m.frame.over {
		return
	}
	if err := m.flow.giveBack(nil, m.at, m.frame.lease, 0); err != nil {
		m.flow.log.Debug("giving back a frame that stays", "error", err)
	}
}

// put puts a packet into lanes of the own store.
func (m *move) put(p *packet.Packet, to []lane) {
	size := storedSize(p)
	for _, l := range to {
		m.to.add(l, m.flow.most(l.queue), p, size, 0, nil)
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
	ledger, ok := m.flow.ledgerOf(p, r)
	if !ok {
		return nil
	}
	if m.flow.keeper(p) == nil {
		for _, lines := range r.parts() {
			m.put(entryOf(p, lines), []lane{{queue: store.Ledger(ledger), rank: store.Descendant}})
		}
		return nil
	}
	c, err := m.flow.note(m.flow.running, &item{Packet: *p}, r)
	if c != nil {
		m.notes = append(m.notes, c)
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
	f := m.flow
	for _, c := range m.notes {
		if err := c.await(ctx); err != nil {
			return err
		}
	}
	tx := &store.Tx{Remove: []store.Ref{{At: m.at, Number: m.Number}}}
	if o := m.frame; o != nil {
		tx = &store.Tx{Ack: []store.Lease{o.lease}, Delete: progressKeys(o.ref(), o.records)}
	}
	if err := f.write(nil, tx, m.to.frames, nil); err != nil {
		return err
	}
	if o := m.frame; o != nil {
		o.over = true
		f.noteProgress(o.ref(), false)
		f.givenBack.Delete(delivery{nil, m.at, o.lease.Number()})
	}
	m.to.free()
	f.dropLater(blobsOf(m.packets))
	return nil
}

// unfollow notes that a waiting packet waits no more, and follows it no
// further: who followed it was told that it waits.
func (m *move) unfollow(p *packet.Packet) error {
	if _, ok := followed(p); !ok {
		return nil
	}
	var r record
	r.end(p.ID, waitsIn+string(p.State))
	if err := m.note(p, &r); err != nil {
		return err
	}
	followNot(p)
	return nil
}
