package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Serve is this node's store as the peer of that name uses it, until ctx ends:
// then what it has leased is free again, and large data that it put there and
// that no frame names is removed.
func (n *Node) Serve(ctx context.Context, peer string) mesh.Store {
	g := &guest{node: n, peer: peer, ctx: ctx, leases: map[*guestLease]bool{}, held: map[packet.Sum]int{}}
	context.AfterFunc(ctx, g.end)
	return g
}

// A guest is a peer that uses this node's store.
type guest struct {
	node *Node
	peer string
	ctx  context.Context

	mu     sync.Mutex
	over   bool
	leases map[*guestLease]bool
	held   map[packet.Sum]int // large data that was put here
}

var _ mesh.Store = (*guest)(nil)

// Pull leases frames of a seed's inbox. Where this node hosts the seed as well,
// its own workers come first, unless the seed says that all are to have their
// turn.
func (g *guest) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	name, inbox := from.Seed()
	if err := from.Check(); err != nil || !inbox {
		return nil, errors.Join(fmt.Errorf("pull from %q: only inboxes of seeds are for others", string(from)), err)
	}
	for {
		within, leave := ctx, func() {}
		if h := g.node.snap.Load().hosts[name]; h != nil && !h.manifest.Spread {
			var err error
			if within, leave, err = h.gate.pass(ctx); err != nil {
				return nil, err
			}
		}
		leases, err := g.node.store.Pull(within, from, most)
		shut := within.Err() != nil
		leave()
		switch {
		case err == nil:
			return g.take(from, leases)
		case ctx.Err() == nil && shut: // the gate was shut meanwhile
		default:
			return nil, err
		}
	}
}

// take notes what the guest holds now.
func (g *guest) take(from store.Queue, leases []store.Lease) ([]store.Lease, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]store.Lease, len(leases))
	for i, lease := range leases {
		l := &guestLease{Lease: lease, guest: g, at: from}
		l.deaths = g.node.deaths(from, lease)
		g.leases[l] = true
		out[i] = l
	}
	if g.over {
		for l := range g.leases {
			l.lapse()
		}
		clear(g.leases)
		return nil, mesh.ErrGone
	}
	return out, nil
}

// end gives back what the guest has: it is gone.
func (g *guest) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	for l := range g.leases {
		l.lapse()
	}
	clear(g.leases)
	for sum, count := range g.held {
		for range count {
			g.node.drop([]packet.Sum{sum})
		}
	}
	clear(g.held)
}

// ends takes a lease off the guest; false means that it has ended already.
func (g *guest) ends(l *guestLease) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	had := g.leases[l]
	delete(g.leases, l)
	return had
}

// A guestLease is a frame that a guest works on.
type guestLease struct {
	store.Lease
	guest  *guest
	at     store.Queue
	deaths int
}

var errLapsed = errors.New("the lease is over")

// Deliveries counts those that ended without a verdict, and this one.
func (l *guestLease) Deliveries() int { return l.deaths + 1 }

func (l *guestLease) Ack() error {
	if !l.guest.ends(l) {
		return errLapsed
	}
	n := l.guest.node
	n.givenBack.Delete(delivery{nil, l.at, l.Number()})
	var blobs []packet.Sum
	if data := l.Data(); packet.FrameHasBlobs(data) {
		_, ps, err := packet.ParseFrame(data)
		if err != nil {
			return fmt.Errorf("frame %d of %s: %w", l.Number(), l.at, err)
		}
		blobs = blobsOf(ps)
	}
	err := l.Lease.Ack()
	if err == nil {
		n.dropLater(blobs)
	}
	return err
}

func (l *guestLease) Release(after time.Duration) error {
	if !l.guest.ends(l) {
		return errLapsed
	}
	return l.guest.node.giveBack(nil, l.at, l.Lease, after)
}

// Spoil says that the frame is not what was stored.
func (l *guestLease) Spoil() error {
	if !l.guest.ends(l) {
		return errLapsed
	}
	if _, _, err := packet.ParseFrame(l.Data()); err != nil {
		l.guest.node.damaged(l.at, l.Lease, err)
		return nil
	}
	// It was spoilt on its way.
	return l.guest.node.giveBack(nil, l.at, l.Lease, releaseDelay)
}

// lapse gives a frame back whose holder is gone. That was a delivery without a
// verdict, as after a crash.
func (l *guestLease) lapse() {
	l.guest.node.lapsed.Add(1)
	if err := l.Lease.Release(0); err != nil {
		l.guest.node.log.Debug("releasing what a lost node had leased", "node", l.guest.peer, "error", err)
	}
}

// Append puts a frame into this node's store.
func (g *guest) Append(ctx context.Context, to store.Queue, f store.Frame) error {
	f.Blobs = nil // what the packets say counts
	tx := &store.Tx{Append: []store.Append{{To: to, Frame: f}}, Durable: true}
	if err := tx.Check(); err != nil {
		return err
	}
	_, ps, err := packet.ParseFrame(f.Data)
	if err == nil && len(ps) != f.Packets {
		err = fmt.Errorf("it holds %d packets; %d were said", len(ps), f.Packets)
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", to, err)
	}
	n := g.node
	n.entering.Add(1)
	defer n.entering.Add(-1)
	if packet.FrameHasBlobs(f.Data) {
		n.holdLeft()
	}
	n.holdBlobs(ps)
	tx.Append[0].Blobs = blobsOf(ps)
	if err := n.store.Commit(ctx, tx); err != nil {
		if notStored(err) { // else it may have been stored; the next start finds out
			n.dropBlobs(ps)
		}
		return err
	}
	if state, ok := to.State(); ok {
		n.frameWaits(state, &ps[0])
	}
	return nil
}

// OpenBlob reads large data that lies here.
func (g *guest) OpenBlob(_ context.Context, b packet.Blob) (io.ReadCloser, error) {
	if g.node.blobs == nil {
		return nil, errors.New("there is no large data here")
	}
	return g.node.blobs.Open(b)
}

// PutBlob puts large data here.
func (g *guest) PutBlob(ctx context.Context, b packet.Blob, r io.Reader) error {
	n := g.node
	if n.blobs == nil {
		return errors.New("there is no place for large data here")
	}
	got, err := n.blobs.Put(ctx, r, b.Size)
	if err != nil {
		return err
	}
	if got != b {
		n.drop([]packet.Sum{got.Sum})
		return fmt.Errorf("what came is %d bytes with the sum %x; expected %d with %x", got.Size, got.Sum[:8], b.Size, b.Sum[:8])
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		n.drop([]packet.Sum{b.Sum})
		return mesh.ErrGone
	}
	g.held[b.Sum]++
	return nil
}

// DropBlob lets go of large data that the guest put here.
func (g *guest) DropBlob(_ context.Context, b packet.Blob) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held[b.Sum] == 0 {
		return fmt.Errorf("large data %x was not put here", b.Sum[:8])
	}
	if g.held[b.Sum]--; g.held[b.Sum] == 0 {
		delete(g.held, b.Sum)
	}
	g.node.drop([]packet.Sum{b.Sum})
	return nil
}
