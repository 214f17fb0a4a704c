package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// An Intake takes packets from outside one after the other without waiting for
// each to reach the store, so that many of them get there together. It is safe
// for concurrent use.
type Intake struct {
	flow *flow
	flights
}

// Intake begins to take packets.
func (f *flow) Intake() *Intake { return &Intake{flow: f} }

// Put takes a packet in as [Node.Inject] does, but returns once it has a place
// on its way: [Intake.Flush] tells that it is safe. A packet with the id of one that
// was taken within a day before is not taken again, and that is no error; where that
// one is still on its way, Put waits for it.
//
// Records that go with a packet, which then has an id, are written in the transaction
// that stores it; where none does, right after it is taken.
func (in *Intake) Put(ctx context.Context, p packet.Packet, with ...store.Record) error {
	return in.take(ctx, &p, with)
}

// take is Put; it completes p.
func (in *Intake) take(ctx context.Context, p *packet.Packet, with []store.Record) error {
	f := in.flow
	f.entering.Add(1)
	defer f.entering.Add(-1)
	if f.injecting.Err() != nil {
		return ErrDraining
	}
	named := !p.ID.IsZero()
	if err := f.admit(p); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.injecting, cancel)()
	err := in.enter(ctx, p, named, with)
	if err != nil && f.injecting.Err() != nil {
		return ErrDraining
	}
	return err
}

// enter sends a packet on its way, unless one of its id was taken before.
func (in *Intake) enter(ctx context.Context, p *packet.Packet, named bool, with []store.Record) error {
	f := in.flow
	var mine *claim // none on an id that was just drawn
	if named {
		var err error
		if mine, err = f.seen.claim(ctx, p.ID); mine == nil {
			if err == nil {
				followNot(p)
				err = f.record(ctx, with)
			}
			return err
		}
		mine.with = with
	}
	f.traceRoot(p, "")
	f.bear(p, "")
	err := in.put(ctx, &item{Packet: *p}, f.snap.Load().dests(p), mine)
	if err == nil && !f.stored() {
		err = f.record(ctx, with)
	}
	if err != nil || !f.stored() {
		mine.end(err == nil)
	}
	return err
}

// Stored tells whether the packet of that id, which came from outside, was taken within the
// last day: after a [Intake.Flush] that failed, which of those that were put are safe.
func (in *Intake) Stored(ctx context.Context, id packet.ID) (bool, error) {
	return in.flow.seen.knows(ctx, id)
}

// record writes records that no transaction of a packet has.
func (f *flow) record(ctx context.Context, records []store.Record) error {
	if len(records) == 0 {
		return nil
	}
	for wait := storePauses; ; {
		err := f.store.Commit(ctx, &store.Tx{Put: records})
		if !errors.Is(err, store.ErrBroken) {
			return err
		}
		f.storeTrouble(err)
		if !wait.For(ctx) {
			return ctx.Err()
		}
	}
}

// put sends a root on its way. The commit that stores it ends the claim on its id.
func (in *Intake) put(ctx context.Context, it *item, to []dest, mine *claim) error {
	f, from := in.flow, bringer{by: &in.sender, claim: mine}
	if _, ok := followed(&it.Packet); ok {
		var r record
		r.beginAll(&it.Packet, to)
		ledger, wanted := f.ledgerOf(&it.Packet, &r)
		switch parts := r.parts(); {
		case !wanted:
		case f.stored() && f.keeper(&it.Packet) == nil && len(parts) == 1:
			// In one transaction: else what comes of the packet could be in the
			// ledger before it is.
			from.entry, from.ledger = entryOf(&it.Packet, parts[0]), lane{queue: store.Ledger(ledger), rank: store.Descendant}
		default:
			c, err := f.note(ctx, it, &r)
			if err != nil {
				return err
			}
			in.started(c, true)
		}
	}
	if !f.stored() {
		return f.route(ctx, it, to)
	}
	c, err := f.storeFor(ctx, it, to, from)
	if err == nil {
		in.started(c, false)
	}
	return err
}

// Inject takes a packet from outside: it returns once the packet is as safe as
// the node's durability says. Without a store that is a place in the queue of
// every seed that accepts it. A packet without an id is given one, and a ship
// unless it has one.
func (f *flow) Inject(ctx context.Context, p packet.Packet) error { return f.injectPacket(ctx, &p) }

// injectPacket is Inject; it completes p.
func (f *flow) injectPacket(ctx context.Context, p *packet.Packet, with ...store.Record) error {
	in := f.Intake()
	if err := in.take(ctx, p, with); err != nil {
		return err
	}
	return in.Flush(ctx)
}

// InjectData is Inject for a packet whose data r gives: of that size in bytes,
// or -1 if it is not known. Where packets pass through a store, large data goes by
// without being held in memory, and may have as much as the store takes; else at most
// [Config.MaxData]. An error of r is returned as it is. Records go with the packet as in
// [Intake.Put].
func (f *flow) InjectData(ctx context.Context, p packet.Packet, r io.Reader, size int64, with ...store.Record) error {
	return f.Take(ctx, &p, r, size, with...)
}

// Take is InjectData; it completes p, so that the caller learns an id that was drawn.
// One that was taken before is not followed: its ledger would stay empty.
func (f *flow) Take(ctx context.Context, p *packet.Packet, r io.Reader, size int64, with ...store.Record) error {
	if f.injecting.Err() != nil {
		return ErrDraining
	}
	// A node that ends does not wait for a sender that is slow to give the
	// data: only Inject is counted as on its way in.
	inline := min(store.MaxInline, f.cfg.MaxData)
	if f.stored() && f.blobs != nil && (size < 0 || size > inline) {
		if err := f.fits(p, size); err != nil {
			return err
		}
		if err := f.awaitRoom(ctx, max(size, 0), store.Root); err != nil {
			return err
		}
		most := f.store.State().Size
		if size < 0 { // its room was not asked for, and the reserve is not for it
			r = f.bound(ctx, r, store.Root)
		}
		if most == 0 {
			most = math.MaxInt64 - 1
		}
		b, err := f.blobs.Put(ctx, r, most)
		if err != nil {
			if errors.Is(err, store.ErrTooLarge) {
				err = fmt.Errorf("packet %s: %w; that is what the whole store takes (--store-size)", p.ID, err)
			}
			return err
		}
		defer f.drop([]packet.Sum{b.Sum})
		if err := f.fits(p, b.Size); err != nil {
			return err
		}
		p.Data, p.Blob = "", &b
		if b.Size <= inline {
			if p.Data, err = f.read(b); err != nil {
				return err
			}
			p.Blob = nil
		}
		return f.injectPacket(ctx, p, with...)
	}
	if size > f.cfg.MaxData {
		return f.tooLarge(p, size)
	}
	data, err := readText(r, size, f.cfg.MaxData)
	if err != nil {
		return err
	}
	if got := int64(len(data)); got > f.cfg.MaxData {
		return f.tooLarge(p, got)
	}
	p.Data = data
	return f.injectPacket(ctx, p, with...)
}

// readText reads what r gives, at most one byte more than limit. The size that is
// expected, or -1, only saves room: small data is most of what comes in.
func readText(r io.Reader, size, limit int64) (string, error) {
	var data bytes.Buffer
	if size >= 0 && size <= store.MaxInline {
		data.Grow(int(size) + bytes.MinRead) // ReadFrom wants that much beyond the end
	}
	if _, err := data.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return "", err
	}
	return data.String(), nil
}

// fits says that data of that size never fits into the store.
func (f *flow) fits(p *packet.Packet, size int64) error {
	if most := f.store.State().Size; most > 0 && size > most {
		return fmt.Errorf("packet %s: %w: it has %d bytes, and the whole store takes %d (--store-size)", p.ID, store.ErrTooLarge, size, most)
	}
	return nil
}

func (f *flow) tooLarge(p *packet.Packet, size int64) error {
	return fmt.Errorf("packet %s: %w: it has %d bytes; at most %d are allowed (--max-packet)", p.ID, store.ErrTooLarge, size, f.cfg.MaxData)
}

// admit checks a packet from outside and completes it.
func (f *flow) admit(p *packet.Packet) error {
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return err
	}
	if p.ID.IsZero() {
		p.ID = packet.NewID()
	}
	if size := int64(len(p.Data)); size > f.cfg.MaxData {
		return f.tooLarge(p, size)
	}
	if err := p.Extra.Check(); err != nil {
		return fmt.Errorf("packet %s: %w", p.ID, err)
	}
	if p.Ship.Root.IsZero() {
		p.Ship.Root = p.ID
	}
	if p.Ship.Node == "" {
		p.Ship.Node = f.cfg.Name
	}
	reachGoal(p)
	if size := packet.FrameSize(p); size-len(p.Data) > maxBeside {
		return tooLong(p, storedSize(p))
	}
	return nil
}
