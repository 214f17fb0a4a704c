package circle

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/packet"
)

// A way is how a candidate was found. It says how it is reached, too.
type way int

const (
	socket  way = iota // a Unix socket in the folder
	join               // an address that was asked for
	sighted            // an address that was heard of
)

const (
	firstDelay = 100 * time.Millisecond
	nearDelay  = 2 * time.Second // the longest, for who is on this machine or may soon be let in
	joinDelay  = 10 * time.Second
	farDelay   = 30 * time.Second
	// away is how long a node is not heard of until it counts as back when it
	// is: beacons come every 2 s.
	away = 5 * time.Second
	// settled is how long a node stays that was met for good: one that is met and gone
	// again and again is tried with growing delays, like one that cannot be reached.
	settled = 10 * time.Second
	// forget is how long after it was heard of last a candidate is tried, and forgetBeacon
	// the same for one that only beacons tell of, which come every 2 s.
	forget       = time.Hour
	forgetBeacon = time.Minute
	// maxUnbelieved is how many candidates there are that only beacons tell of: whoever has
	// recorded some could send them again, from many addresses.
	maxUnbelieved = 64
)

// A candidate is where a node may be reached.
type candidate struct {
	kind way
	addr string // host:port, or a path
	node string // of a socket: its name

	// These are under the circle's lock.
	by     mesh.Source // how it was learnt first
	boot   packet.ID   // who was there, or is said to be
	heard  time.Time   // of it last
	met    bool        // the process that is there was met
	failed failure     // why it could not be reached last
	told   bool        // that a node refuses this one
	since  time.Time   // it is refused, by this node or the other
	logged []mesh.Reason
	doubt  bool // somebody there says that a third has this node's data folder
	cancel context.CancelFunc
	// unbelieved is its place among those that only beacons tell of, and that were never
	// met; nil for others.
	unbelieved *list.Element
	again      chan struct{} // that it is to be tried at once; of one
}

func (cand *candidate) key() string {
	if cand.kind == join {
		return "join " + cand.addr
	}
	return cand.at()
}

// at is how it is reached, for people.
func (cand *candidate) at() string {
	if cand.kind == socket {
		return "unix:" + cand.addr
	}
	return "tcp://" + cand.addr
}

// port is the TCP port of its address, 0 of a socket.
func (cand *candidate) port() uint16 {
	_, text, err := net.SplitHostPort(cand.addr)
	port, numErr := strconv.ParseUint(text, 10, 16)
	if cand.kind == socket || err != nil || numErr != nil {
		return 0
	}
	return uint16(port)
}

// source is how a candidate was learnt.
func (c *Circle) source(cand *candidate) mesh.Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cand.by
}

// consider takes a candidate, or hears of one again. One that only a beacon tells of could be
// a recording.
func (c *Circle) consider(cand *candidate) {
	beacon := cand.by == mesh.ByBeacon
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	now := time.Now()
	if old := c.candidates[cand.key()]; old != nil {
		if !beacon {
			c.believe(old)
		}
		if old.by == mesh.ByItself {
			old.by = cand.by
		}
		back := now.Sub(old.heard) > away
		old.heard = now
		if cand.boot != old.boot && !cand.boot.IsZero() {
			// Another process is there now.
			old.boot, old.met = cand.boot, false
			back = true
		}
		if back {
			old.wake() // the delay has grown while it could not be reached
		}
		return
	}
	if cand.kind == sighted && c.members[cand.boot] != nil {
		return // it is met
	}
	if len(c.candidates) >= maxCandidates && cand.kind == sighted {
		c.dropped++
		return
	}
	if beacon && !c.roomForBeacon() {
		c.dropped++
		return
	}
	if beacon {
		cand.unbelieved = c.unbelieved.PushBack(cand)
	}
	cand.heard, cand.again = now, make(chan struct{}, 1)
	c.candidates[cand.key()] = cand
	if c.ctx != nil {
		c.start(cand)
	}
}

// roomForBeacon makes room for a candidate that only a beacon tells of: the oldest goes that
// was tried in vain. While none was, the next beacon comes soon enough. The caller holds the
// lock.
func (c *Circle) roomForBeacon() bool {
	if c.unbelieved.Len() < maxUnbelieved {
		return true
	}
	for e := c.unbelieved.Front(); e != nil; e = e.Next() {
		if cand := e.Value.(*candidate); cand.failed.reason != "" {
			c.drop(cand)
			return true
		}
	}
	return false
}

// believe takes a candidate for more than a beacon says: it was met, or a node tells of it.
// The caller holds the lock.
func (c *Circle) believe(cand *candidate) {
	if cand.unbelieved != nil {
		c.unbelieved.Remove(cand.unbelieved)
		cand.unbelieved = nil
	}
}

// drop ends a candidate. The caller holds the lock.
func (c *Circle) drop(cand *candidate) {
	c.believe(cand)
	delete(c.candidates, cand.key())
	if cand.cancel != nil {
		cand.cancel()
	}
}

// wake has a candidate tried at once.
func (cand *candidate) wake() {
	select {
	case cand.again <- struct{}{}:
	default:
	}
}

// start begins to try a candidate. The caller holds the lock.
func (c *Circle) start(cand *candidate) {
	ctx, cancel := context.WithCancel(c.ctx)
	cand.cancel = cancel
	c.under.Go(func() {
		defer cancel()
		c.try(ctx, cand)
		c.mu.Lock()
		if c.candidates[cand.key()] == cand {
			c.drop(cand)
		}
		c.mu.Unlock()
	})
}

// try dials a candidate until ctx ends or it is to be forgotten.
func (c *Circle) try(ctx context.Context, cand *candidate) {
	delay := time.Duration(0)
	for ctx.Err() == nil {
		if gone := c.met(cand); gone != nil {
			// There is a way to it. It may end, or another process be heard of
			// here.
			select {
			case <-gone:
			case <-cand.again:
			case <-ctx.Done():
			}
			delay = 0
			continue
		}
		began := time.Now()
		err := c.meet(ctx, cand)
		longest, keep := nearDelay, true
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			longest, keep = c.failure(cand, err)
		case time.Since(began) > settled: // it was met, and is gone
			delay = 0
			continue
		}
		if !keep {
			return
		}
		delay = min(max(2*delay, firstDelay), longest)
		pause := time.NewTimer(delay/2 + rand.N(delay))
		select {
		case <-pause.C:
		case <-cand.again:
			delay = 0
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// met gives what closes when the node of a candidate is gone, if there is a way
// to it that is at least as good as this one.
func (c *Circle) met(cand *candidate) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[cand.boot]
	if m == nil || cand.kind == socket && m.kind != socket {
		return nil
	}
	return m.gone
}

// failure notes why a candidate could not be met. It gives the longest delay
// until it is tried again, and whether it is to be.
func (c *Circle) failure(cand *candidate, err error) (longest time.Duration, keep bool) {
	var other *link.ProtocolError
	if errors.As(err, &other) {
		c.name(other.Hello, cand.at(), c.source(cand), mesh.OtherVersion, wrongProtocol(other.Hello.Protocol))
	}
	self, refused := errors.Is(err, link.ErrSelf), errors.Is(err, link.ErrRefused)
	copied := (*link.CopyError)(nil)
	doubt := errors.As(err, &copied) && c.refusedAsCopy(cand, copied)
	now := time.Now()
	c.mu.Lock()
	cand.doubt = doubt
	reason := reasonOf(err)
	cand.failed.note(reason, err, now)
	first := cand.kind == join && !slices.Contains(cand.logged, reason)
	if first {
		cand.logged = append(cand.logged, reason)
	}
	switch {
	case !refused && !errors.Is(err, errNamesake):
		cand.since = time.Time{}
	case cand.since.IsZero():
		cand.since = now
	}
	// One that starts again may be refused because of its earlier self.
	tell := refused && !cand.told && now.Sub(cand.since) > clash
	cand.told = cand.told || tell
	old := now.Sub(cand.heard) > forget || cand.unbelieved != nil && now.Sub(cand.heard) > forgetBeacon
	c.mu.Unlock()

	switch {
	case tell:
		c.log.Warn("a node refuses this one", "at", cand.at(), "error", err)
	case first && self:
		c.log.Warn("the address to join is this node's own", "address", cand.addr)
	case first && !refused:
		c.log.Warn("cannot join yet; trying again", "address", cand.addr, "reason", reason, "next", reason.Next(cand.port()), "error", err)
	}
	switch {
	case cand.kind == socket || !cand.since.IsZero():
		longest = nearDelay
	case cand.kind == join:
		longest = joinDelay
	default:
		longest = farDelay
	}
	// A socket is forgotten when it goes from the folder. An address that is this
	// node's own may be another's one day, and is heard of then.
	return longest, cand.kind != sighted || !old && !self
}

// meet dials a candidate and follows the node as long as it is there. An error
// says why it was not met.
func (c *Circle) meet(ctx context.Context, cand *candidate) error {
	select {
	case c.dials <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	m, err := c.dial(ctx, cand)
	<-c.dials
	if err != nil {
		return err
	}
	replaced, err := c.admit(cand, m)
	if err != nil {
		m.peer.Close()
		return err
	}
	if m.known {
		m.peer.Close() // there is a way as good as this
		return nil
	}
	if replaced != nil {
		replaced.Close()
	}
	why := m.peer.Run(ctx)
	c.lost(m, why)
	return nil
}

// dial reaches whoever is there.
func (c *Circle) dial(ctx context.Context, cand *candidate) (*member, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	m := &member{kind: cand.kind, gone: make(chan struct{})}
	cfg := link.Client{Hello: c.hello(), Shared: c.cfg.Shared, Kept: &c.kept, Changed: c.changed, At: cand.at(), Heard: func(s []link.Sighting) { c.hear(m, s) }}
	var conn net.Conn
	var err error
	switch {
	case cand.kind == socket:
		conn, err = local.Peer{Node: cand.node, Path: cand.addr}.Dial(ctx)
	case c.cfg.Dial != nil:
		conn, err = c.cfg.Dial(ctx, cand.addr)
	default:
		// A name is resolved anew each time.
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", cand.addr)
	}
	if err != nil {
		return nil, err
	}
	if cand.kind != socket {
		cfg.TLS = c.cfg.Client
		if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
			m.addr = netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), at.AddrPort().Port())
		}
		cfg.At = "tcp://" + m.addr.String()
	}
	m.peer, err = link.Dial(ctx, conn, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the node at %s: %w", cfg.At, err)
	}
	return m, nil
}
