package node

import (
	"context"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// note writes a record into the ledger of it, whose frame is not acknowledged
// before that is stored. The commit tells when, for a packet without a frame.
func (f *flow) note(ctx context.Context, it *item, r *record) (*commit, error) {
	ledger, ok := f.ledgerOf(&it.Packet, r)
	if !ok {
		return nil, nil
	}
	to := []lane{{into: f.keeper(&it.Packet), queue: store.Ledger(ledger), rank: store.Descendant}}
	parts := r.parts()
	for i, lines := range parts {
		entry := &item{Packet: *entryOf(&it.Packet, lines), from: it.from}
		entry.from.hold()
		c, err := f.storeIn(ctx, entry, to, 0, bringer{})
		if err != nil {
			f.abandon(entry)
			return nil, err
		}
		if i == len(parts)-1 {
			return c, nil
		}
		// What ends stands in the last part, and counts after what begins.
		if c != nil {
			if err := c.await(ctx); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// ledgerOf is the ledger that r is to be written into, if there is one.
func (f *flow) ledgerOf(p *packet.Packet, r *record) (packet.ID, bool) {
	ledger, ok := followed(p)
	return ledger, ok && r.lines.Len() > 0 && f.ledgers.wants(ledger)
}

// keeper is the peer in whose store the ledger of p is kept, where it was
// injected; nil is the own store, and also where what is written waits for the
// peer to be met again.
func (f *flow) keeper(p *packet.Packet) *peer {
	if p.Ship.Node == f.cfg.Name {
		return nil
	}
	if to := f.met(p.Ship.Node); to != nil && to.store != nil {
		return to
	}
	return nil
}

// noteMove writes down that it goes from one place to others.
func (f *flow) noteMove(it *item, from string, to []dest) {
	if _, ok := followed(&it.Packet); !ok {
		return
	}
	var r record
	r.end(it.ID, from)
	r.beginAll(&it.Packet, to)
	if _, err := f.note(f.running, it, &r); err != nil {
		f.log.Debug("writing a ledger", "error", err)
	}
}

// oldLedger is how long a ledger is kept that nobody has forgotten.
const oldLedger = 7 * 24 * time.Hour

// clearLedgers removes old ledgers: who waited for them has long gone.
func (f *flow) clearLedgers(ctx context.Context) error {
	places, err := f.store.Queues(ctx)
	for _, c := range places {
		if _, ok := c.Queue.Ledger(); ok && err == nil && time.Since(c.Since) > oldLedger {
			err = f.store.Commit(ctx, &store.Tx{Clear: []store.Queue{c.Queue}})
		}
	}
	return err
}

// Ledger sums a ledger up.
func (f *flow) Ledger(ctx context.Context, id packet.ID) (Ledger, error) {
	f.ledgers.mu.Lock()
	l := f.ledgers.open[id]
	if l == nil {
		l = &ledger{stays: map[stay]standing{}}
		f.ledgers.open[id] = l
	}
	f.ledgers.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for r, lookErr := range f.frames(ctx, store.Ledger(id), l.next) {
		if err = lookErr; err != nil {
			break
		}
		l.next = r.Number + 1
		for i := range r.packets {
			l.add(r.packets[i].Data)
		}
	}
	if l.next == 0 { // of a ledger that is none nothing is to stay
		f.ledgers.mu.Lock()
		if f.ledgers.open[id] == l {
			delete(f.ledgers.open, id)
		}
		f.ledgers.mu.Unlock()
	}
	return l.sum(f.snap.Load()), err
}

// Forget removes a ledger.
func (f *flow) Forget(ctx context.Context, id packet.ID) error {
	f.ledgers.mu.Lock()
	delete(f.ledgers.open, id)
	if len(f.ledgers.over) >= maxOver {
		clear(f.ledgers.over)
	}
	f.ledgers.over[id] = true
	f.ledgers.mu.Unlock()
	return f.store.Commit(ctx, &store.Tx{Clear: []store.Queue{store.Ledger(id)}})
}
