package link

import (
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Kept are the leases that a node has of others. They outlive the connections that
// they came over: what is decided while an owner is away, it is told when it is
// back. The zero value is ready. It is safe for concurrent use.
type Kept struct {
	mu sync.Mutex
	of map[string]*kept // by the owner's name
}

const (
	// keptTime is how long the leases of an owner are known that does not come back.
	keptTime = time.Hour
	// noneTime is how long an owner is known from whom nothing was ever pulled: a
	// connection that is about to be made has asked for its leases.
	noneTime = time.Minute
	// maxSent is how many verdicts over one connection wait to be confirmed; older ones
	// count as if they were.
	maxSent = 4 * maxLeases
)

// from are the leases of the owner of that name, over a connection that was made to it.
// They are known at least until that has ended, see detach.
func (k *Kept) from(name string) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = map[string]*kept{}
	}
	for other, o := range k.of {
		if other != name && o.forgotten() {
			delete(k.of, other)
		}
	}
	of := k.of[name]
	if of == nil {
		of = &kept{grants: map[store.Ref]*grant{}}
		k.of[name] = of
	}
	of.mu.Lock()
	of.connections++
	of.mu.Unlock()
	return of
}

// kept are the leases of one owner. Its lock comes before that of a puller.
type kept struct {
	mu          sync.Mutex
	connections int       // that were made to the owner and have not ended
	since       time.Time // there are none
	puller      *puller   // over which the owner hears of them; nil if it heard of none yet, or is away
	begun       bool      // the owner may hold leases for this node, also such as it does not have
	grants      map[store.Ref]*grant
}

// forgotten tells whether nobody will ask for the leases again.
func (k *kept) forgotten() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	limit := keptTime
	if !k.begun {
		limit = noneTime
	}
	return k.connections == 0 && time.Since(k.since) > limit
}

// A grant is a lease without its frame, as its owner and its holder name it. All but
// ref is under the lock of those that the node has of the owner.
//
// Invariant: a grant is among them until it is released, or was acknowledged and the
// owner has said so, or has ended there.
type grant struct {
	ref    store.Ref
	puller *puller // over which it came, or was resumed
	pull   uint64
	index  uint16

	decided bool
	acked   bool
	lapsed  bool // the owner has said so
}

// add takes grants that came over p, unless another connection has taken its place.
func (k *kept) add(p *puller, grants []*grant) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.puller != p {
		return false
	}
	for _, g := range grants {
		if old := k.grants[g.ref]; old != nil {
			old.lapsed = true // else the owner would not have leased the frame again
		}
		k.grants[g.ref] = g
	}
	return true
}

// attach makes p the one over which the owner hears of the leases, and tells it
// which there are. The caller holds p's lock, and k's.
func (k *kept) attach(p *puller) {
	k.puller, k.begun = p, true
	p.last++
	p.resumed, p.named = p.last, nil
	var refs []store.Ref
	for ref, g := range k.grants {
		if len(p.named) == maxLeases {
			break
		}
		g.puller, g.pull, g.index = p, p.resumed, uint16(len(p.named)) //nolint:gosec // at most maxLeases
		p.named = append(p.named, g)
		refs = append(refs, ref)
	}
	p.send(message{kind: msgResume, pull: p.resumed, most: uint16(len(refs))}) //nolint:gosec // as above
	p.out = appendRefs(p.out, refs)
	for _, g := range p.named {
		if g.acked {
			p.decide(message{kind: msgAck}, g)
		}
	}
}

// detach is called once, when p has ended.
func (k *kept) detach(p *puller) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.connections--
	k.since = time.Now()
	if k.puller == p {
		k.puller = nil
	}
}

// lapse takes out leases that the owner did not know any more when p named them.
func (k *kept) lapse(p *puller, indices []uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, i := range indices {
		if int(i) < len(p.named) {
			p.named[i].lapsed = true
			k.forget(p.named[i])
		}
	}
	p.named = nil
}

// taken takes out what was acknowledged over p and has arrived: so many verdicts
// have.
func (k *kept) taken(p *puller, verdicts uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.confirm(p, int(min(verdicts-min(p.confirmed, verdicts), uint64(len(p.sent))))) //nolint:gosec // at most its length
}

// confirm takes out what the oldest n verdicts that were sent over p acknowledge.
func (k *kept) confirm(p *puller, n int) {
	for _, g := range p.sent[:n] {
		if g.acked {
			k.forget(g)
		}
	}
	p.confirmed += uint64(n) //nolint:gosec // not negative
	p.sent = slices.Delete(p.sent, 0, n)
}

// forget takes out a grant, if no later one of its frame has taken its place.
func (k *kept) forget(g *grant) {
	if k.grants[g.ref] == g {
		delete(k.grants, g.ref)
	}
}

// decide ends a lease: m says how.
func (k *kept) decide(g *grant, m message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case g.lapsed:
		return store.ErrLapsed
	case g.decided:
		return nil
	}
	g.decided, g.acked = true, m.kind == msgAck
	if !g.acked {
		k.forget(g) // the owner gives back what it does not hear of
	}
	p := g.puller
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.decide(m, g)
	}
	if len(p.sent) > maxSent { // an owner that confirms nothing
		k.confirm(p, maxSent/2)
	}
	return nil
}

// doubtful tells whether a lease has ended, or may have.
func (k *kept) doubtful(g *grant) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	peer := g.puller.peer
	return g.lapsed || peer.ctx.Err() != nil || time.Since(peer.Seen()) > silence
}
