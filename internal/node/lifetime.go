package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// A lifetime is what a node is and how long it goes on. It knows nothing of seeds and packets.
type lifetime struct {
	cfg   Config
	log   *slog.Logger
	clock clock
	boot  packet.ID // drawn for this process

	// running ends when the node does, injecting already when it drains, and pulling
	// when nothing more is to come out of the store.
	running, injecting, pulling context.Context
	stop, stopInject, stopPull  context.CancelFunc
	goroutines                  sync.WaitGroup

	entering atomic.Int64 // calls from outside that move packets
	moving   atomic.Int64 // packets that come to seeds from what waits or was pulled
}

// begin begins the node's life.
func (l *lifetime) begin(cfg Config) {
	cfg.complete()
	l.cfg, l.log, l.clock, l.boot = cfg, cfg.Log, clock{base: time.Now()}, packet.NewID()
	l.running, l.stop = context.WithCancel(context.Background())
	l.injecting, l.stopInject = context.WithCancel(l.running)
	l.pulling, l.stopPull = context.WithCancel(l.running)
}

// ErrDraining is a packet that comes while the node ends.
var ErrDraining = errors.New("the node is ending and takes no more packets")

// Boot names this process of the node.
func (l *lifetime) Boot() packet.ID { return l.boot }

// Name is the node's name.
func (l *lifetime) Name() string { return l.cfg.Name }

// Group is the node's group.
func (l *lifetime) Group() string { return l.cfg.Group }

// RunName names this start of the node.
func (l *lifetime) RunName() string { return l.cfg.Run }

// MaxData is the most data that a packet may have in memory, in bytes.
func (l *lifetime) MaxData() int64 { return l.cfg.MaxData }

// Leaving tells whether the node finishes what it has, or has ended.
func (l *lifetime) Leaving() bool { return l.injecting.Err() != nil }

// Ended is closed when the node ends.
func (l *lifetime) Ended() <-chan struct{} { return l.running.Done() }

// Remembers tells whether the node knows at its next start that an injector
// with pmk-once has ended.
func (l *lifetime) Remembers() bool { return l.durable() }

// durable tells whether what lies in the store outlives the node.
func (l *lifetime) durable() bool { return l.cfg.Durability == Disk }

// stored tells whether roots are stored before they are in.
func (l *lifetime) stored() bool { return l.cfg.Durability != None }

// traceRoot gives a packet that comes in its place in a trace: from the injector of that
// name or, with "", from outside.
func (l *lifetime) traceRoot(p *packet.Packet, injector string) {
	if l.cfg.Tracer == nil {
		return
	}
	var wish packet.Wish
	if p.Wish != nil {
		wish = *p.Wish
	}
	c := l.cfg.Tracer.Root(wish.Trace, &trace.Run{Packet: p.ID, Ship: p.Ship, Born: true, Seed: injector, Node: l.cfg.Name, State: p.State, At: time.Now()})
	if c != wish.Trace {
		wish.Trace = c
		p.Wish = &wish
	}
}
