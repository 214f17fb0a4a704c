package pumpkin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/cli"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// Config is what a [Node] is made from. Its zero value is a node in memory that meets
// the nodes of this user on this machine. The fields mean what the flags of pmk of the
// same names do, and errors name those.
type Config struct {
	// Group is the name space of the node's seeds and packets; "" means "default".
	Group string
	// Data is the folder in which the node stores its packets, and which no other
	// uses: there they survive a power cut. With "" they are in memory alone, and what
	// has not ended is lost when the program dies.
	Data string
	// Key is the file with the key of the network, which 'pmk key new' makes: the node
	// meets all nodes that have it, on the local network too. "" means the key, or the
	// path of its file, that PUMPKIN_KEY in the environment holds, and else no key: then the
	// node meets those of this machine. Where other variables set flags of pmk, see its
	// documentation, a Config stands for them all.
	Key string
	// Join are nodes elsewhere to meet, HOST:PORT, where no broadcast reaches them.
	Join []string
	// HTTP is the address of the live page and the API, HOST:PORT; "" means none. Commands
	// such as 'pmk ps' reach the node in any case.
	HTTP string
	// Grace is how long what is in flight may take to finish once the node is to end;
	// 0 means 30 s. What has not finished then is cut off.
	Grace time.Duration
	// Log takes what happens; nil means [slog.Default].
	Log *slog.Logger
}

// A Node is a node of a network inside of a program: it runs the seeds that it was made
// with, and moves packets to and from the nodes that it meets as pmk does. Seeds in files,
// watched folders and a store in an outside cluster need a program of its own, see [Main].
// Its methods are safe for concurrent use.
type Node struct {
	embedded cli.Embedded
	ran      atomic.Bool
	up       chan struct{} // closed once node is there
	node     *node.Node
	over     chan struct{} // closed when Run has returned
}

// New makes a node with these seeds, and starts nothing. It panics as [Main]
// does.
func New(cfg Config, seeds ...Seed) *Node {
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Node{
		embedded: cli.Embedded{
			Program: program(seeds, false),
			Group:   cfg.Group, Data: cfg.Data, Key: cfg.Key, Join: cfg.Join, HTTP: cfg.HTTP, Grace: cfg.Grace, Log: cfg.Log,
		},
		up: make(chan struct{}), over: make(chan struct{}),
	}
}

// Run makes a node with these seeds and runs it until ctx ends: see [Node.Run].
func Run(ctx context.Context, cfg Config, seeds ...Seed) error { return New(cfg, seeds...).Run(ctx) }

// Run runs the node until ctx ends, lets what is in flight finish, and returns nil; where
// packets are in memory alone, all that the node's seeds take is in flight. An error says
// why the node could not start, or what it could not finish. A node runs once.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		return errors.New("the node has run already: make another with New")
	}
	defer close(n.over)
	return n.embedded.Run(ctx, func(started *node.Node) {
		n.node = started
		close(n.up)
	})
}

// errEnded is a packet for a node that runs no more.
var errEnded = errors.New("the node has ended")

// Send gives the network a packet and returns its id once the packet is stored, as safe
// as the node's configuration says. Until the node runs, and while the store is full,
// it waits: if ctx ends before, nothing was sent. A node that ends takes no packets.
func (n *Node) Send(ctx context.Context, state State, data string, attributes ...Attributes) (packet.ID, error) {
	p := Packet{State: state}
	for _, a := range attributes {
		var err error
		if p.Extra, err = p.Extra.Inherit(a); err != nil {
			return packet.ID{}, fmt.Errorf("send %s: %w", state, err)
		}
	}
	select {
	case <-n.up:
	case <-n.over:
	case <-ctx.Done():
		return packet.ID{}, fmt.Errorf("send %s: the node does not run: %w", state, ctx.Err())
	}
	if n.node == nil {
		return packet.ID{}, fmt.Errorf("send %s: the node could not start", state)
	}
	select {
	case <-n.over:
		return packet.ID{}, fmt.Errorf("send %s: %w", state, errEnded)
	default:
	}
	err := n.node.Take(ctx, &p, strings.NewReader(data), int64(len(data)))
	if errors.Is(err, context.Canceled) && ctx.Err() == nil { // the node's own
		err = errEnded
	}
	if err != nil {
		return packet.ID{}, fmt.Errorf("send %s: %w", state, err)
	}
	return p.ID, nil
}
