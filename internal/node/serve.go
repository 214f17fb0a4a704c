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

// Serve is this node's store as the peer of that name uses it over one connection,
// until ctx ends. What it has leased then outlives that for a time, in which the peer
// can resume it over another connection; large data that it put there and that no
// frame names is removed.
func (l *lender) Serve(ctx context.Context, peer string, boot packet.ID) mesh.Served {
	g := &guest{lender: l, session: session{ctx}, peer: peer, boot: boot, held: map[packet.Sum]int{}}
	g.lent = l.connect(&g.session, peer, boot)
	context.AfterFunc(ctx, g.end)
	return g
}

// A guest is a peer that uses this node's store over one connection.
type guest struct {
	*lender
	session
	peer string
	boot packet.ID
	lent *lent

	mu   sync.Mutex
	over bool
	held map[packet.Sum]int // large data that was put here
}

var _ mesh.Served = (*guest)(nil)

// Pull leases frames of a seed's inbox. Where this node hosts the seed as well,
// its own workers come first, unless the seed says that all are to have their
// turn, or have failed at it.
func (g *guest) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	name, inbox := from.Seed()
	if err := from.Check(); err != nil || !inbox {
		return nil, errors.Join(fmt.Errorf("pull from %q: only inboxes of seeds are for others", string(from)), err)
	}
	if err := g.awaitKnown(ctx); err != nil {
		return nil, err
	}
	pull := func(ctx context.Context) ([]store.Lease, error) { return g.store.Pull(ctx, from, most) }
	leases, err := func() ([]store.Lease, error) {
		if h := g.snap.Load().hosts[name]; h != nil {
			return h.gate.pull(ctx, h.manifest.Spread, pull)
		}
		return pull(ctx)
	}()
	if err != nil {
		return nil, err
	}
	for len(leases) > most { // one was offered at the moment when as many had come as are wanted
		last := len(leases) - 1
		if err := g.giveBack(nil, from, leases[last], 0); err != nil {
			g.log.Debug("releasing a frame that was offered to a peer which has enough", "error", err)
		}
		leases = leases[:last]
	}
	return g.take(from, leases)
}

// awaitKnown waits until it is known what was leased before the node started.
func (g *guest) awaitKnown(ctx context.Context) error {
	select {
	case <-g.known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take notes what the guest has now.
func (g *guest) take(from store.Queue, leases []store.Lease) ([]store.Lease, error) {
	mine, out, frames := make([]*guestLease, len(leases)), make([]store.Lease, len(leases)), make([]store.Ref, len(leases))
	for i, lease := range leases {
		mine[i] = g.guestLease(from, lease)
		out[i], frames[i] = &served{mine[i], g.lender}, mine[i].ref()
	}
	g.noteLent(g.peer, g.boot, frames)
	if !g.lent.add(&g.session, mine) {
		g.takeBackFrom(g.peer, mine, returned)
		return nil, mesh.ErrGone
	}
	return out, nil
}

// Resume takes up the leases of earlier connections that the peer still has.
func (g *guest) Resume(ctx context.Context, frames []store.Ref) ([]store.Lease, error) {
	if err := g.awaitKnown(ctx); err != nil {
		return nil, err
	}
	leases, there := g.lent.resume(&g.session, frames)
	if !there {
		return nil, mesh.ErrGone
	}
	out := make([]store.Lease, len(frames))
	for i, l := range leases {
		if l != nil {
			out[i] = &served{l, g.lender}
		}
	}
	return out, nil
}

// Leave gives back what the peer has.
func (g *guest) Leave() { g.lent.remove(returned, all) }

// end is called when the connection has ended.
func (g *guest) end() {
	g.lent.disconnect(&g.session)
	g.disconnected(g.lent)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	for sum, count := range g.held {
		for range count {
			g.drop([]packet.Sum{sum})
		}
	}
	clear(g.held)
}

// served is a lease as a peer has it: its verdict ends it here.
type served struct {
	*guestLease
	*lender
}

func (s *served) Ack() error {
	if !s.lent.end(s.guestLease) {
		return store.ErrLapsed
	}
	var blobs []packet.Sum
	if data := s.Data(); packet.FrameHasBlobs(data) {
		_, ps, err := packet.ParseFrame(data)
		if err != nil {
			return fmt.Errorf("frame %d of %s: %w", s.Number(), s.at, err)
		}
		blobs = blobsOf(ps)
	}
	tx := &store.Tx{Ack: []store.Lease{s.Lease}}
	if s.notesLent() {
		tx.Delete = []store.Key{lentKey(s.ref())}
	}
	if err := s.store.Commit(context.Background(), tx); err != nil {
		// It runs again, if nobody else has it by now.
		return errors.Join(err, s.giveBack(nil, s.at, s.Lease, releaseDelay))
	}
	s.givenBack.Delete(delivery{nil, s.at, s.Number()})
	s.dropLater(blobs)
	return nil
}

func (s *served) Release(after time.Duration) error {
	if !s.lent.end(s.guestLease) {
		return store.ErrLapsed
	}
	s.forgetLent([]store.Ref{s.ref()})
	return s.giveBack(nil, s.at, s.Lease, after)
}

// Spoil says that the frame is not what was stored.
func (s *served) Spoil() error {
	if !s.lent.end(s.guestLease) {
		return store.ErrLapsed
	}
	s.forgetLent([]store.Ref{s.ref()})
	if _, _, err := packet.ParseFrame(s.Data()); err != nil {
		s.damaged(s.at, s.Lease, err)
		return nil
	}
	// It was spoilt on its way.
	return s.giveBack(nil, s.at, s.Lease, releaseDelay)
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
	g.entering.Add(1)
	defer g.entering.Add(-1)
	if packet.FrameHasBlobs(f.Data) {
		g.holdLeft()
	}
	g.holdBlobs(ps)
	tx.Append[0].Blobs = blobsOf(ps)
	if err := g.store.Commit(ctx, tx); err != nil {
		if notStored(err) { // else it may have been stored; the next start finds out
			g.dropBlobs(ps)
		}
		return err
	}
	if state, ok := to.State(); ok {
		g.frameWaits(state, &ps[0])
	}
	return nil
}

// OpenBlob reads large data that lies here.
func (g *guest) OpenBlob(_ context.Context, b packet.Blob) (io.ReadCloser, error) {
	if g.blobs == nil {
		return nil, errors.New("there is no large data here")
	}
	return g.blobs.Open(b)
}

// PutBlob puts large data here.
func (g *guest) PutBlob(ctx context.Context, b packet.Blob, r io.Reader) error {
	if g.blobs == nil {
		return errors.New("there is no place for large data here")
	}
	got, err := g.blobs.Put(ctx, r, b.Size)
	if err != nil {
		return err
	}
	if got != b {
		g.drop([]packet.Sum{got.Sum})
		return fmt.Errorf("what came is %d bytes with the sum %x; expected %d with %x", got.Size, got.Sum[:8], b.Size, b.Sum[:8])
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		g.drop([]packet.Sum{b.Sum})
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
	g.drop([]packet.Sum{b.Sum})
	return nil
}
