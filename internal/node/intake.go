package node

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

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
	flying atomic.Pointer[[]*commit]
	failed atomic.Pointer[error] // of a commit that is no longer in flying
	mu     sync.Mutex            // held to replace flying
}

// Intake begins to take packets.
func (n *Node) Intake() *Intake { return &Intake{node: n} }

// Put takes a packet in as [Node.Inject] does, but returns once it has a place
// on its way: [Intake.Flush] tells that it is safe.
func (in *Intake) Put(ctx context.Context, p packet.Packet) error {
	n := in.node
	n.entering.Add(1)
	defer n.entering.Add(-1)
	if n.injecting.Err() != nil {
		return ErrDraining
	}
	if err := n.admit(&p); err != nil {
		return err
	}
	n.traceRoot(&p, "")
	n.bear(&p, "")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.injecting, cancel)()
	err := in.put(ctx, nil, &item{Packet: p}, n.snap.Load().dests(&p))
	if err != nil && n.injecting.Err() != nil {
		return ErrDraining
	}
	return err
}

// put sends a root on its way; s is the injector's slot that it comes from,
// nil for what comes from outside.
func (in *Intake) put(ctx context.Context, s *slot, it *item, to []dest) error {
	if _, ok := followed(&it.Packet); ok {
		var r record
		r.beginAll(&it.Packet, to)
		f, err := in.node.note(ctx, it, &r)
		if err != nil {
			return err
		}
		in.started(f)
	}
	if !in.node.stored() {
		return in.node.route(ctx, s, it, to)
	}
	return in.node.lay(ctx, it, to, in.started)
}

// started notes a commit that holds a packet of this intake. Most packets are in
// the commit of the one before.
func (in *Intake) started(f *commit) {
	if in.newest() == f {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.newest() == f {
		return
	}
	var flying []*commit
	for _, old := range in.list() {
		if !old.landed() {
			flying = append(flying, old)
		} else if old.err != nil {
			in.failed.CompareAndSwap(nil, &old.err)
		}
	}
	flying = append(flying, f)
	in.flying.Store(&flying)
}

func (in *Intake) list() []*commit {
	if flying := in.flying.Load(); flying != nil {
		return *flying
	}
	return nil
}

// newest is the commit that was noted last, nil for none.
func (in *Intake) newest() *commit {
	if flying := in.list(); len(flying) > 0 {
		return flying[len(flying)-1]
	}
	return nil
}

// Flush returns when everything that was put before is as safe as the node's
// durability says, or one of it could not be made so, or ctx has ended; what was
// put may then be stored all the same.
func (in *Intake) Flush(ctx context.Context) error {
	for _, f := range in.list() {
		if err := f.await(ctx); err != nil {
			return err
		}
	}
	if failed := in.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// Inject takes a packet from outside: it returns once the packet is as safe as
// the node's durability says. Without a store that is a place in the queue of
// every seed that accepts it. A packet without an id is given one, and a ship
// unless it has one.
func (n *Node) Inject(ctx context.Context, p packet.Packet) error {
	in := n.Intake()
	if err := in.Put(ctx, p); err != nil {
		return err
	}
	return in.Flush(ctx)
}

// InjectData is Inject for a packet whose data r gives: of that size in bytes,
// or -1 if it is not known. Large data goes by without being held in memory
// where packets pass through a store. An error of r is returned as it is.
func (n *Node) InjectData(ctx context.Context, p packet.Packet, r io.Reader, size int64) error {
	if n.injecting.Err() != nil {
		return ErrDraining
	}
	// A node that ends does not wait for a sender that is slow to give the
	// data: only Inject is counted as on its way in.
	if size > n.cfg.MaxData {
		return n.tooLarge(&p, size)
	}
	if n.stored() && n.blobs != nil && (size < 0 || size > store.MaxInline) {
		b, err := n.blobs.Put(ctx, r, n.cfg.MaxData)
		if err != nil {
			return err
		}
		defer n.drop([]packet.Sum{b.Sum})
		p.Data, p.Blob = "", &b
		if b.Size <= store.MaxInline {
			if p.Data, err = n.read(b); err != nil {
				return err
			}
			p.Blob = nil
		}
		return n.Inject(ctx, p)
	}
	data := new(strings.Builder)
	got, err := io.Copy(data, io.LimitReader(r, n.cfg.MaxData+1))
	if err != nil {
		return err
	}
	if got > n.cfg.MaxData {
		return n.tooLarge(&p, got)
	}
	p.Data = data.String()
	return n.Inject(ctx, p)
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
	if p.Ship.Root.IsZero() {
		p.Ship.Root = p.ID
	}
	if p.Ship.Node == "" {
		p.Ship.Node = n.cfg.Name
	}
	return nil
}
