// Package circle keeps a node connected with all others of its network: it
// collects the addresses of nodes, dials each of them, keeps one connection to
// each, and reports to the node which peers there are.
//
// Where a node may be reached is a candidate: a socket in the folder where the
// nodes of this machine meet, an address that was asked for (--join), heard in a
// beacon, told by another node, or that of a node that has reached this one.
// Each candidate has a goroutine that dials it again and again, and follows the
// node while it is met. Which process is at the other end shows only then: nodes
// are told apart by their boot ids, and of two ways to one the Unix socket is
// kept.
package circle

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/packet"
)

const (
	// maxCandidates is how many candidates there are at a time, sockets and
	// those to join included.
	maxCandidates = 4096
	// maxOthers is how many nodes are listed that are not met.
	maxOthers = 1024
	// maxDials is how many candidates are dialled at a time.
	maxDials = 32
	// dialTime is how long one may take to say who it is.
	dialTime = 5 * time.Second
)

// A Config says what a circle is made of.
type Config struct {
	Host mesh.Host
	// Folder is where the sockets of this machine's nodes are, as
	// [github.com/recap/pumpkin/internal/local.Folder] gives it; "" is nowhere.
	Folder string
	// Server and Client are for TCP: both, or neither.
	Server, Client *tls.Config
	// Dial reaches an address over TCP; nil means net.Dialer. With it, TLS may be
	// left out: then what it gives is to be trusted.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Port is where this node listens over TCP; 0 is nowhere.
	Port uint16
	// Advertise are the addresses, host:port, at which others reach this node; none is where
	// they see it, at Port.
	Advertise []string
	// Data names the node's data folder, the same in each copy of it; "" is none. Copied is
	// called once when another node has it as well that was there first, with how that is
	// reached: this node is then to hold back what is stored there.
	Data   string
	Copied func(at string)
	// Join are addresses, host:port, that are dialled for ever.
	Join []string
	// Shared says that all nodes have one store.
	Shared bool
	// API answers what is not between nodes; nil answers nothing.
	API http.Handler
	Log *slog.Logger // nil means slog.Default
}

// A Circle is all that a node knows of the others. It is safe for concurrent use.
type Circle struct {
	cfg    Config
	log    *slog.Logger
	me     link.Hello
	server *link.Server
	gate   link.Gate
	gossip gossip
	kept   link.Kept
	dials  chan struct{}
	kick   chan struct{} // that the node is to be told who is there
	// folderPeriod is how often the folder is searched in any case.
	folderPeriod time.Duration

	mu         sync.Mutex
	ctx        context.Context // of Run; nil before
	ended      bool
	candidates map[string]*candidate
	unbelieved list.List // of *candidate, oldest first
	dropped    int64
	members    map[packet.ID]*member
	visits     map[packet.ID]*visit
	others     map[packet.ID]*other
	notices    notices
	held       bool           // another node of the data folder was there first
	under      sync.WaitGroup // candidates
}

// New makes a circle. It starts nothing.
func New(cfg Config) (*Circle, error) {
	card := cfg.Host.Card()
	switch {
	case (cfg.Server == nil) != (cfg.Client == nil):
		return nil, errors.New("a circle needs both sides of TLS, or none")
	case len(cfg.Join) > 0 && !cfg.far():
		return nil, errors.New("nodes are joined over TCP, which needs a key")
	}
	if err := mesh.CheckAddresses(cfg.Advertise); err != nil {
		return nil, fmt.Errorf("where the node is reached: %w", err)
	}
	c := &Circle{
		cfg: cfg, log: cmp.Or(cfg.Log, slog.Default()),
		me: link.Hello{Protocol: mesh.Protocol, Node: card.Node, Boot: card.Boot, Version: card.Version, Port: cfg.Port, Advertise: cfg.Advertise,
			Data: cfg.Data, Started: time.Now().UTC()},
		dials:        make(chan struct{}, maxDials),
		kick:         make(chan struct{}, 1),
		folderPeriod: folderPeriod,
		candidates:   map[string]*candidate{},
		members:      map[packet.ID]*member{},
		visits:       map[packet.ID]*visit{},
		others:       map[packet.ID]*other{},
		notices:      notices{},
	}
	c.gossip.init()
	c.server = link.NewServer(link.ServerConfig{
		Host: cfg.Host, Hello: c.hello, Visit: c.visit, Gossip: &c.gossip, API: cfg.API, Log: c.log,
	})
	for _, address := range cfg.Join {
		if err := CheckAddress(address); err != nil {
			return nil, err
		}
		c.consider(&candidate{kind: join, by: mesh.ByJoin, addr: address})
	}
	return c, nil
}

// far tells whether other machines are reached.
func (cfg Config) far() bool { return cfg.Client != nil || cfg.Dial != nil }

// CheckAddress says what is wrong with an address to join.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("the address to join %q is not a host:port; an example is 192.168.1.50:7900", address)
	}
	return nil
}

// Run keeps the circle until ctx ends. When it returns nothing of it goes on but
// what [Circle.Serve] does.
func (c *Circle) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	if c.ctx != nil {
		c.mu.Unlock()
		return errors.New("the circle runs already")
	}
	c.ctx = ctx
	for _, cand := range c.candidates {
		c.start(cand)
	}
	c.mu.Unlock()

	var watching sync.WaitGroup
	if c.cfg.Folder != "" {
		watching.Go(func() { c.watchFolder(ctx) })
	}
	watching.Go(func() { c.watchUnmet(ctx) })
	c.tell(ctx)
	watching.Wait()

	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.under.Wait()
	c.cfg.Host.Meet(nil)
	return nil
}

// Serve answers other nodes and the API on l until ctx ends, and closes it: over
// TLS, or on a listener that by itself lets in only who may.
func (c *Circle) Serve(ctx context.Context, l net.Listener, secure bool) error {
	if !secure {
		return c.server.Serve(ctx, l, nil, nil)
	}
	if c.cfg.Server == nil {
		l.Close() // what is wrong is the wiring
		return errors.New("a circle without TLS cannot serve TCP")
	}
	return c.server.Serve(ctx, l, c.cfg.Server, &c.gate)
}

// tell tells the node who its peers are, whenever that has changed, until ctx
// ends.
func (c *Circle) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		}
		c.cfg.Host.Meet(c.peers())
	}
}

// changed has the node told soon.
func (c *Circle) changed() {
	select {
	case c.kick <- struct{}{}:
	default: // it is about to be told
	}
}

// peers are the members, by name.
func (c *Circle) peers() []mesh.Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	peers := make([]mesh.Peer, 0, len(c.members))
	for _, m := range c.members {
		peers = append(peers, m.peer)
	}
	slices.SortFunc(peers, func(a, b mesh.Peer) int { return strings.Compare(a.Card().Node, b.Card().Node) })
	return peers
}

// Sight tells of a node that a beacon was heard of, and the major version of the protocol
// that it speaks. The addresses that it gives itself, if any, count in place of addr. It is
// believed once it was met there.
func (c *Circle) Sight(boot packet.ID, addr netip.AddrPort, protocol int, advertise ...string) {
	if boot != c.me.Boot && c.cfg.far() && protocol != mesh.Protocol && dialable(addr) {
		c.name(link.Hello{Protocol: protocol, Boot: boot}, "tcp://"+addr.String(), mesh.ByBeacon, mesh.OtherVersion, wrongProtocol(protocol))
		return
	}
	c.sight(boot, addr, advertise, mesh.ByBeacon)
}

// sight considers where a node is said to be.
func (c *Circle) sight(boot packet.ID, addr netip.AddrPort, advertise []string, by mesh.Source) {
	if boot == c.me.Boot || !c.cfg.far() {
		return
	}
	for _, at := range advertise {
		c.consider(&candidate{kind: sighted, by: by, addr: at, boot: boot})
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if len(advertise) == 0 && dialable(addr) {
		c.consider(&candidate{kind: sighted, by: by, addr: addr.String(), boot: boot})
	}
}

// dialable tells whether an address can be that of one node.
func dialable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast()
}

// Counts are figures of a circle.
type Counts struct {
	// Candidates are tried or met; Dropped were too many.
	Candidates int
	Dropped    int64
	// Peers are met, and Visitors have met this node.
	Peers, Visitors int
	// Gate is what became of connections over TCP.
	Gate link.GateCounts
}

// Counts gives the figures of now.
func (c *Circle) Counts() Counts {
	gate := c.gate.Counts()
	c.mu.Lock()
	defer c.mu.Unlock()
	return Counts{Candidates: len(c.candidates), Dropped: c.dropped, Peers: len(c.members), Visitors: len(c.visits), Gate: gate}
}
