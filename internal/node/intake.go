package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// An Intake takes packets from outside one after the other without waiting for
// each to reach the store, so that many of them get there together. It is safe
// for concurrent use.
type Intake struct {
	node *Node

	// flying are the commits that hold packets of this intake and have not
	// landed, and perhaps some that have. The list is never changed: thousands
	// read it, and would queue for a lock.
	flying atomic.Pointer[[]flight]
	failed atomic.Pointer[error] // of a commit that is no longer in flying
	mu     sync.Mutex            // held to replace flying
}

// A flight is a commit that holds something of an intake.
type flight struct {
	*commit
	records bool // of a ledger alone
}

// Intake begins to take packets.
func (n *Node) Intake() *Intake { return &Intake{node: n} }

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
	n := in.node
	n.entering.Add(1)
	defer n.entering.Add(-1)
	if n.injecting.Err() != nil {
		return ErrDraining
	}
	named := !p.ID.IsZero()
	if err := n.admit(p); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.injecting, cancel)()
	err := in.enter(ctx, p, named, with)
	if err != nil && n.injecting.Err() != nil {
		return ErrDraining
	}
	return err
}

// enter sends a packet on its way, unless one of its id was taken before.
func (in *Intake) enter(ctx context.Context, p *packet.Packet, named bool, with []store.Record) error {
	n := in.node
	var mine *claim // none on an id that was just drawn
	if named {
		var err error
		if mine, err = n.seen.claim(ctx, p.ID); mine == nil {
			if err == nil {
				followNot(p)
				err = n.record(ctx, with)
			}
			return err
		}
		mine.with = with
	}
	n.traceRoot(p, "")
	n.bear(p, "")
	err := in.put(ctx, &item{Packet: *p}, n.snap.Load().dests(p), mine)
	if err == nil && !n.stored() {
		err = n.record(ctx, with)
	}
	if err != nil || !n.stored() {
		mine.end(err == nil)
	}
	return err
}

// record writes records that no transaction of a packet has.
func (n *Node) record(ctx context.Context, records []store.Record) error {
	if len(records) == 0 {
		return nil
	}
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := n.store.Commit(ctx, &store.Tx{Put: records})
		if !errors.Is(err, store.ErrBroken) {
			return err
		}
		n.storeTrouble(err)
		if !pause.For(ctx, wait) {
			return ctx.Err()
		}
	}
}

// followNot takes out of a packet's wish that it is followed.
func followNot(p *packet.Packet) {
	if _, ok := followed(p); ok {
		wish := *p.Wish
		wish.Follow = packet.ID{}
		p.Wish = &wish
	}
}

// put sends a root on its way. The commit that stores it ends the claim on its id.
func (in *Intake) put(ctx context.Context, it *item, to []dest, mine *claim) error {
	n, from := in.node, bringer{by: in, claim: mine}
	if _, ok := followed(&it.Packet); ok {
		var r record
		r.beginAll(&it.Packet, to)
		ledger, wanted := n.ledgerOf(&it.Packet, &r)
		switch parts := r.parts(); {
		case !wanted:
		case n.stored() && n.keeper(&it.Packet) == nil && len(parts) == 1:
			// In one transaction: else what comes of the packet could be in the
			// ledger before it is.
			from.entry, from.ledger = entryOf(&it.Packet, parts[0]), lane{queue: store.Ledger(ledger), rank: store.Descendant}
		default:
			f, err := n.note(ctx, it, &r)
			if err != nil {
				return err
			}
			in.started(f, true)
		}
	}
	if !n.stored() {
		return n.route(ctx, nil, it, to)
	}
	f, err := n.storeFor(ctx, it, to, from)
	if err == nil {
		in.started(f, false)
	}
	return err
}

// started notes a commit that holds something of this intake. Most packets are in
// the commit of the one before.
func (in *Intake) started(f *commit, records bool) {
	if f == nil || in.knows(f) {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.knows(f) {
		return
	}
	var flying []flight
	for _, old := range in.list() {
		if !old.over() {
			flying = append(flying, old)
		} else if old.err != nil {
			in.failed.CompareAndSwap(nil, &old.err)
		}
	}
	flying = append(flying, flight{f, records})
	in.flying.Store(&flying)
}

func (in *Intake) list() []flight {
	if flying := in.flying.Load(); flying != nil {
		return *flying
	}
	return nil
}

// knows tells whether the commit was noted.
func (in *Intake) knows(f *commit) bool {
	flying := in.list()
	for i := len(flying) - 1; i >= 0; i-- {
		if flying[i].commit == f {
			return true
		}
	}
	return false
}

// Flush returns when everything that was put before is as safe as the node's
// durability says, or one of it could not be made so. If ctx ends before, what is
// not stored by then never will be, and the error is ctx's; it is nil if all was
// stored.
func (in *Intake) Flush(ctx context.Context) error {
	list := in.list()
	for _, f := range list {
		if err := f.await(ctx); err != nil {
			if ctx.Err() != nil {
				return in.withdraw(ctx, list)
			}
			return err
		}
	}
	if failed := in.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// withdraw takes back what is not stored. A record of a ledger that stays does no
// harm: nobody asks for it.
func (in *Intake) withdraw(ctx context.Context, list []flight) error {
	var err error
	if failed := in.failed.Load(); failed != nil {
		err = *failed
	}
	for _, f := range list {
		if f.withdraw(in) && !f.records {
			err = ctx.Err()
		}
	}
	return err
}

// Inject takes a packet from outside: it returns once the packet is as safe as
// the node's durability says. Without a store that is a place in the queue of
// every seed that accepts it. A packet without an id is given one, and a ship
// unless it has one.
func (n *Node) Inject(ctx context.Context, p packet.Packet) error { return n.inject(ctx, &p) }

// inject is Inject; it completes p.
func (n *Node) inject(ctx context.Context, p *packet.Packet, with ...store.Record) error {
	in := n.Intake()
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
func (n *Node) InjectData(ctx context.Context, p packet.Packet, r io.Reader, size int64, with ...store.Record) error {
	return n.Take(ctx, &p, r, size, with...)
}

// Take is InjectData; it completes p, so that the caller learns an id that was drawn.
// One that was taken before is not followed: its ledger would stay empty.
func (n *Node) Take(ctx context.Context, p *packet.Packet, r io.Reader, size int64, with ...store.Record) error {
	if n.injecting.Err() != nil {
		return ErrDraining
	}
	// A node that ends does not wait for a sender that is slow to give the
	// data: only Inject is counted as on its way in.
	inline := min(store.MaxInline, n.cfg.MaxData)
	if n.stored() && n.blobs != nil && (size < 0 || size > inline) {
		if err := n.fits(p, size); err != nil {
			return err
		}
		if err := n.awaitRoom(ctx, max(size, 0), store.Root); err != nil {
			return err
		}
		most := n.store.State().Size
		if size < 0 { // its room was not asked for, and the reserve is not for it
			r = &boundedReader{ctx: ctx, node: n, from: r, rank: store.Root, most: most}
		}
		if most == 0 {
			most = math.MaxInt64 - 1
		}
		b, err := n.blobs.Put(ctx, r, most)
		if err != nil {
			if errors.Is(err, store.ErrTooLarge) {
				err = fmt.Errorf("packet %s: %w; that is what the whole store takes (--store-size)", p.ID, err)
			}
			return err
		}
		defer n.drop([]packet.Sum{b.Sum})
		if err := n.fits(p, b.Size); err != nil {
			return err
		}
		p.Data, p.Blob = "", &b
		if b.Size <= inline {
			if p.Data, err = n.read(b); err != nil {
				return err
			}
			p.Blob = nil
		}
		return n.inject(ctx, p, with...)
	}
	if size > n.cfg.MaxData {
		return n.tooLarge(p, size)
	}
	data, err := readText(r, size, n.cfg.MaxData)
	if err != nil {
		return err
	}
	if got := int64(len(data)); got > n.cfg.MaxData {
		return n.tooLarge(p, got)
	}
	p.Data = data
	return n.inject(ctx, p, with...)
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
func (n *Node) fits(p *packet.Packet, size int64) error {
	if most := n.store.State().Size; most > 0 && size > most {
		return fmt.Errorf("packet %s: %w: it has %d bytes, and the whole store takes %d (--store-size)", p.ID, store.ErrTooLarge, size, most)
	}
	return nil
}

func (n *Node) tooLarge(p *packet.Packet, size int64) error {
	return fmt.Errorf("packet %s: %w: it has %d bytes; at most %d are allowed (--max-packet)", p.ID, store.ErrTooLarge, size, n.cfg.MaxData)
}

// admit checks a packet from outside and completes it.
func (n *Node) admit(p *packet.Packet) error {
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return err
	}
	if p.ID.IsZero() {
		p.ID = packet.NewID()
	}
	if size := int64(len(p.Data)); size > n.cfg.MaxData {
		return n.tooLarge(p, size)
	}
	if err := p.Extra.Check(); err != nil {
		return fmt.Errorf("packet %s: %w", p.ID, err)
	}
	if p.Ship.Root.IsZero() {
		p.Ship.Root = p.ID
	}
	if p.Ship.Node == "" {
		p.Ship.Node = n.cfg.Name
	}
	if size := packet.FrameSize(p); size-len(p.Data) > maxBeside {
		return tooLong(p, storedSize(p))
	}
	return nil
}
