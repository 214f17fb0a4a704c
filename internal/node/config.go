package node

import (
	"io"
	"log/slog"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Config is what a node is made from.
type Config struct {
	// Name names the node; see [NewName].
	Name string
	// Group is the name space its seeds and packets live in; "" means
	// "default".
	Group string
	// Version is that of the program, for people.
	Version string
	// Run names this start of the node: injectors' packets take their ids
	// from it. "" draws one.
	Run string
	// Kinds run its seeds.
	Kinds runner.Kinds
	// LoadTimeout is how long a worker may take until its seed is loaded; 0 is as long
	// as its process lives.
	LoadTimeout time.Duration
	// Store is where packets rest; every node needs one. The node does not
	// close it.
	Store store.Store
	// Blobs keep the data that is too large for a frame; nil means that such
	// data cannot be stored.
	Blobs store.Blobs
	// SetAside keeps the bytes of a frame that cannot be read; nil leaves it
	// in the store.
	SetAside func(at store.Queue, number uint64, data []byte) error
	// Durability says what passes through the store.
	Durability Durability
	// Print takes what seeds print, a line at a time; nil discards it. Its error fails
	// the run of an extractor.
	Print func(m seed.Manifest, line string) error
	// MaxData is the most bytes that one packet may have in memory, and an output of a
	// seed; 0 means [runner.DefaultMaxData]. What comes in as a file or a stream may have
	// as much as the store takes.
	MaxData int64
	// Away is how long a seed stays an acceptor while no node hosts it, by the time
	// that this node runs; 0 means [DefaultAway].
	Away time.Duration
	// Tracer makes spans of the runs; nil makes none.
	Tracer Tracer
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

// DefaultGroup is the group of a node that names none.
const DefaultGroup = "default"

// DefaultAway is how long a seed that is away stays an acceptor.
const DefaultAway = 24 * time.Hour

// complete gives what was left out its default.
func (c *Config) complete() {
	if c.Group == "" {
		c.Group = DefaultGroup
	}
	if c.Run == "" {
		c.Run = packet.NewID().String()[:8]
	}
	if c.MaxData == 0 {
		c.MaxData = runner.DefaultMaxData
	}
	if c.Away == 0 {
		c.Away = DefaultAway
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Print == nil {
		c.Print = func(seed.Manifest, string) error { return nil }
	}
}
