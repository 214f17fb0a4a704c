// Package beacon lets the nodes of a network find each other on a LAN: each says
// by broadcast that it is there, and hears the others. What a beacon says is
// authenticated with the network's key; everything else is counted and ignored.
//
// Beacons are broadcast and never sent to one machine, since nodes of one machine
// share the port: each of them hears what is broadcast, and only one would hear
// what comes to the machine alone.
package beacon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// Port is where beacons are sent to.
const Port = 7700

// A Config is what a beacon says, and who is told of others.
type Config struct {
	// Seal authenticates beacons. Boot is this start of the node, and TCP the
	// port that it listens on. They must be set.
	Seal Seal
	Boot packet.ID
	TCP  uint16
	// Advertise are the addresses, HOST:PORT, at which the node is reached in place of the
	// beacon's source; mostly none, at most [mesh.MaxAddresses].
	Advertise []string
	// Sighted is called for each beacon of another node, from one goroutine. While
	// it runs nothing is heard, so it must not wait. Of a boot with another major
	// version it is told once. It must be set.
	Sighted func(Sighting)
	// Port is where beacons are sent to and heard; 0 means [Port].
	Port int
	// Loopback has beacons sent on the loopback interface, and on no other: for
	// tests.
	Loopback bool
	Log      *slog.Logger // nil means none
}

// A Sighting is another node, heard just now.
type Sighting struct {
	Boot packet.ID
	// Addr is where the node listens over TCP: the source of the datagram, and
	// the port that it names. Whoever repeats a beacon from elsewhere can make the
	// address wrong, so it proves nothing.
	Addr netip.AddrPort
	// Advertise are the addresses that the node gives itself, in place of Addr.
	Advertise []string
	// Protocol is the major version that the node speaks. One of another than
	// [mesh.Protocol] is to be named, and nothing else.
	Protocol int
}

// Counts are datagrams since the start, by kind.
type Counts struct {
	// Sent are those that went out, one for each network; Failed those that could
	// not.
	Sent, Failed int64
	// Heard are beacons of other nodes, and Own those of this one.
	Heard, Own int64
	// Oversize, Garbage, Strangers (with a wrong MAC) and Replays are what came
	// from outside the network. Duplicates are beacons that came once more, as over
	// a second network. Versions are those of another major version.
	Oversize, Garbage, Strangers, Replays, Duplicates, Versions int64
}

// A Beacon is a node's voice and ear on the LAN. Its methods are safe for
// concurrent use; Run is called once.
type Beacon struct {
	cfg      Config
	log      *slog.Logger
	announce chan struct{} // of one: a beacon is due at once
	answer   chan struct{} // of one: a newcomer is to be answered

	counts struct {
		sent, failed, heard, own                                    atomic.Int64
		oversize, garbage, strangers, replays, duplicates, versions atomic.Int64
	}

	mu        sync.Mutex
	strangers strangers
}

// New makes a beacon, which neither sends nor hears before Run.
func New(cfg Config) *Beacon {
	if cfg.Port == 0 {
		cfg.Port = Port
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Beacon{cfg: cfg, log: log, announce: make(chan struct{}, 1), answer: make(chan struct{}, 1)}
}

// Announce has a beacon sent at once, for instance after a change of networks.
func (b *Beacon) Announce() { wake(b.announce) }

// wake leaves a note that something is due, once.
func wake(note chan<- struct{}) {
	select {
	case note <- struct{}{}:
	default: // it is due already
	}
}

// Counts tells what was sent and heard so far.
func (b *Beacon) Counts() Counts {
	c := &b.counts
	return Counts{
		Sent: c.sent.Load(), Failed: c.failed.Load(), Heard: c.heard.Load(), Own: c.own.Load(),
		Oversize: c.oversize.Load(), Garbage: c.garbage.Load(), Strangers: c.strangers.Load(),
		Replays: c.replays.Load(), Duplicates: c.duplicates.Load(), Versions: c.versions.Load(),
	}
}

// Run sends and hears beacons until ctx ends, which is no error. An error says why
// the port cannot be used, and what to do; a node works on without it.
func (b *Beacon) Run(ctx context.Context) error {
	conn, err := listen(ctx, b.cfg.Port)
	if err != nil {
		return err
	}
	b.log.Info(fmt.Sprintf("listening for nodes on UDP port %d", b.cfg.Port))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var hearing sync.WaitGroup
	var failed error
	hearing.Go(func() {
		defer cancel()
		failed = b.hear(conn)
	})
	b.send(ctx, conn)
	closed := conn.Close() // ends hear
	hearing.Wait()
	if !errors.Is(failed, net.ErrClosed) {
		return failed
	}
	if closed != nil {
		return fmt.Errorf("close UDP port %d: %w", b.cfg.Port, closed)
	}
	return nil
}

// hear takes what comes until conn is closed.
func (b *Beacon) hear(conn *net.UDPConn) error {
	known := newBoots(maxBoots)
	buf := make([]byte, maxSize+1) // a longer datagram is cut, and seen to be too long
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return fmt.Errorf("hear beacons on UDP port %d: %w", b.cfg.Port, err)
		}
		b.take(known, buf[:n], from.Addr().Unmap())
	}
}

// take takes one datagram.
func (b *Beacon) take(known *boots, data []byte, from netip.Addr) {
	m, err := decode(data, mesh.Protocol, b.cfg.Seal)
	switch {
	case errors.Is(err, errOversize):
		b.counts.oversize.Add(1)
		return
	case errors.Is(err, errGarbage):
		b.counts.garbage.Add(1)
		return
	case err != nil:
		b.counts.strangers.Add(1)
		b.foreign(netip.AddrPortFrom(from, portOf(data)), time.Now())
		return
	case m.boot == b.cfg.Boot:
		b.counts.own.Add(1)
		return
	}
	what := known.hear(m.boot, m.number)
	switch {
	case what == replay:
		b.counts.replays.Add(1)
		return
	case what == duplicate:
		b.counts.duplicates.Add(1)
		return
	case m.major != mesh.Protocol:
		b.counts.versions.Add(1)
		if what != newcomer {
			return
		}
	default:
		b.counts.heard.Add(1)
		if what == newcomer {
			wake(b.answer)
		}
	}
	b.cfg.Sighted(Sighting{Boot: m.boot, Addr: netip.AddrPortFrom(from, m.port), Advertise: m.advertise, Protocol: int(m.major)})
}
