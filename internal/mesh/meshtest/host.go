// Package meshtest is what tests of the mesh need: a node that is nothing but a
// store and a card, TLS that any two ends share, a network in memory, and one
// that can be cut.
package meshtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Host is a node for tests. It is safe for concurrent use.
type Host struct {
	store store.Store

	mu      sync.Mutex
	card    mesh.Card
	changed chan struct{}
	peers   []mesh.Peer
	met     int
	meeting bool
	blobs   map[packet.Sum][]byte
	held    int                 // leases of peers
	lent    map[packet.ID]*lent // by the start of a peer
	spoilt  []uint64
	wrong   []string
}

var _ mesh.Host = (*Host)(nil)

// NewHost makes a node of that name.
func NewHost(name string, s store.Store) *Host {
	return &Host{
		store: s, card: mesh.Card{Node: name, Boot: packet.NewID(), Version: "test"},
		changed: make(chan struct{}), blobs: map[packet.Sum][]byte{}, lent: map[packet.ID]*lent{},
	}
}

// Card is what the node says of itself.
func (h *Host) Card() mesh.Card {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.card
}

// Changed is closed when the card changes.
func (h *Host) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// SetCard has the card changed.
func (h *Host) SetCard(change func(*mesh.Card)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.card.Seeds = slices.Clone(h.card.Seeds)
	change(&h.card)
	close(h.changed)
	h.changed = make(chan struct{})
}

// AddSeed puts a seed on the card.
func (h *Host) AddSeed(name string) {
	h.SetCard(func(c *mesh.Card) {
		c.Seeds = append(c.Seeds, mesh.Hosted{Since: time.Unix(1, 0), Manifest: seed.Manifest{
			Name: seed.Name(name), Kind: seed.Go,
			Contract: seed.Contract{In: []packet.State{"String:RAW"}, Out: []packet.State{packet.State("String:" + name)}},
		}})
	})
}

// Meet notes who is there.
func (h *Host) Meet(peers []mesh.Peer) {
	h.mu.Lock()
	if h.meeting {
		h.wrong = append(h.wrong, "Meet was called while it was called")
	}
	h.meeting = true
	h.mu.Unlock()
	peers = slices.Clone(peers)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.meeting = false
	h.peers = peers
	if len(peers) > 0 {
		h.met++
	}
}

// Peers are those that are there.
func (h *Host) Peers() []mesh.Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peers
}

// Met is how often the node was told of peers that are there.
func (h *Host) Met() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.met
}

// Wrong is what was done to the node against the contract.
func (h *Host) Wrong() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wrong
}

// Held is how many leases peers have.
func (h *Host) Held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held
}

// Spoilt are the numbers of frames that peers found spoilt.
func (h *Host) Spoilt() []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.spoilt)
}

// Serve is the store as a peer uses it. What the peer leases is given back when it
// leaves or resumes something else, and not before.
func (h *Host) Serve(_ context.Context, _ string, boot packet.ID) mesh.Served {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &served{h.lent[boot]}
	if s.lent == nil {
		s.lent = &lent{host: h, leases: map[store.Ref]*heldLease{}}
		h.lent[boot] = s.lent
	}
	return s
}

// Lapse gives back all leases of peers.
func (h *Host) Lapse() {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.lent))
	h.mu.Unlock()
	for _, l := range all {
		l.giveBack(func(*heldLease) bool { return true })
	}
}

// A served is the store as one peer uses it over one connection.
type served struct{ *lent }

// lent is what one start of a peer has leased.
type lent struct {
	host   *Host
	mu     sync.Mutex
	leases map[store.Ref]*heldLease
}

// A heldLease is one that a peer has.
type heldLease struct {
	store.Lease
	lent *lent
	by   *served // the connection that it came over last
	at   store.Queue
}

// Resume gives the leases of those frames that the peer still has.
func (s *served) Resume(_ context.Context, frames []store.Ref) ([]store.Lease, error) {
	s.mu.Lock()
	out := make([]store.Lease, len(frames))
	for i, f := range frames {
		if l := s.leases[f]; l != nil {
			l.by = s
			out[i] = l
		}
	}
	s.mu.Unlock()
	s.giveBack(func(l *heldLease) bool { return l.by != s })
	return out, nil
}

// Leave gives back all leases.
func (s *served) Leave() { s.giveBack(func(*heldLease) bool { return true }) }

func (s *lent) giveBack(which func(*heldLease) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref, l := range s.leases {
		if which(l) {
			delete(s.leases, ref)
			l.Lease.Release(0) // a store in memory does not fail
			s.count(-1)
		}
	}
}

func (s *lent) count(n int) {
	s.host.mu.Lock()
	s.host.held += n
	s.host.mu.Unlock()
}

func (s *served) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	leases, err := s.host.store.Pull(ctx, from, most)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range leases {
		h := &heldLease{l, s.lent, s, from}
		s.leases[store.Ref{At: from, Number: l.Number()}] = h
		s.count(1)
		leases[i] = h
	}
	return leases, nil
}

// free takes a lease out of those that are held, once.
func (l *heldLease) free() bool {
	s, ref := l.lent, store.Ref{At: l.at, Number: l.Number()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leases[ref] != l {
		return false
	}
	delete(s.leases, ref)
	s.count(-1)
	return true
}

func (l *heldLease) Ack() error {
	if l.free() {
		return l.Lease.Ack()
	}
	return nil
}

func (l *heldLease) Release(after time.Duration) error {
	if l.free() {
		return l.Lease.Release(after)
	}
	return nil
}

func (l *heldLease) Spoil() error {
	if !l.free() {
		return nil
	}
	l.lent.host.mu.Lock()
	l.lent.host.spoilt = append(l.lent.host.spoilt, l.Number())
	l.lent.host.mu.Unlock()
	return l.Lease.Ack()
}

func (s *served) Append(ctx context.Context, to store.Queue, f store.Frame) error {
	return s.host.store.Commit(ctx, &store.Tx{Append: []store.Append{{To: to, Frame: f}}, Durable: true})
}

func (s *served) OpenBlob(ctx context.Context, b packet.Blob) (io.ReadCloser, error) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	data, ok := s.host.blobs[b.Sum]
	if !ok {
		return nil, errors.New("there is no such data")
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// MaxBlob is the most bytes that a blob may have.
const MaxBlob = 64 << 20

func (s *served) PutBlob(ctx context.Context, b packet.Blob, r io.Reader) error {
	if b.Size > MaxBlob {
		return fmt.Errorf("%d bytes: %w", b.Size, store.ErrTooLarge)
	}
	data, err := io.ReadAll(packet.Verify(b, r))
	if err != nil {
		return err
	}
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.blobs[b.Sum] = data
	return nil
}

func (s *served) DropBlob(ctx context.Context, b packet.Blob) error {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	delete(s.host.blobs, b.Sum)
	return nil
}
