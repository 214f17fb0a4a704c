// Package mesh is the contract between a node and the other nodes of its
// network: how each describes itself, and how one uses the store of another.
//
// Every node is a peer, and none is special. A node reaches each of the others
// by itself, watches what it hosts, and pulls from its store whatever lies there
// for the seeds that it hosts too. So a node's packets stay on its own disk until
// somebody has taken them, and a hop to another machine is one append here and
// one pull from there.
//
// Implementations live below this package; they never import the node.
package mesh

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Protocol is the major version of what nodes say to each other. A node of
// another one is named, and nothing else is done with it.
const Protocol = 2

// A Card is what a node says of itself, whole, whenever some of it has changed.
// It does not change once it was given to somebody.
type Card struct {
	// Node is the node's name; in a network no two nodes have the same.
	Node string `json:"node"`
	// Boot is drawn at each start of a node. Two ways to one boot are two ways
	// to one process.
	Boot packet.ID `json:"boot"`
	// Version is that of the program, for people.
	Version string `json:"version"`
	// Durable says that the node's store survives a power cut.
	Durable bool `json:"durable"`
	// Seeds is what the node hosts, by name.
	Seeds []Hosted `json:"seeds"`
	// Refused are seeds that the node was to host and does not, because the
	// network has another contract under their name.
	Refused []Refused `json:"refused,omitempty"`
	// Known are the seeds that nodes with a disk host or have hosted, by seed and
	// node, as far as this node knows.
	Known []Known `json:"known,omitempty"`
	// Leaving says that the node finishes what it has and ends: its seeds take
	// nothing more.
	Leaving bool `json:"leaving,omitempty"`
}

// A Hosted is one seed on a node.
type Hosted struct {
	Manifest seed.Manifest `json:"manifest"`
	// Since is when the node began to host a seed of this name and contract, by
	// its own clock.
	Since time.Time `json:"since"`
	// Cost is about what one packet takes the seed there, rounded to a power of
	// two, so that it changes seldom; 0 while nothing is known. Nodes fill
	// frames for the seed by it.
	Cost time.Duration `json:"cost_ns,omitempty"`
}

// A Known is a seed of a node with a disk. The seed stays an acceptor while the node is
// away, until it is removed there.
type Known struct {
	Seed     seed.Name     `json:"seed"`
	Node     string        `json:"node"`
	Contract seed.Contract `json:"contract"`
	// Number is raised by each change: of two records of one seed and node the
	// higher holds.
	Number  uint64 `json:"number"`
	Removed bool   `json:"removed,omitempty"`
}

// A Refused is a seed that a node does not host, and why.
type Refused struct {
	Manifest seed.Manifest `json:"manifest"`
	Why      string        `json:"why"`
}

// ErrGone is a peer that does not answer any more.
var ErrGone = errors.New("the node does not answer any more")

// A Peer is another node that lives. It is safe for concurrent use. When the
// node is gone its methods return [ErrGone], and it never comes back: a node that
// is met again is another Peer.
type Peer interface {
	// Card is what the node has said last.
	Card() Card
	// At is how it is reached, for people: tcp://192.168.1.50:7900, or unix:
	// and a path.
	At() string
	// Store is the part of its store that others may use; nil where this node
	// and the peer share one store.
	Store() Store
	// Gone is closed when the node is gone.
	Gone() <-chan struct{}
	// RoundTrip asks the node's HTTP interface. Host and scheme of the request
	// do not count.
	http.RoundTripper
}

// A Store is what peers may do with a node's store. It is safe for concurrent
// use.
type Store interface {
	// Pull leases frames of the inbox of a seed, as [store.Store.Pull] does.
	// The leases last as long as the puller is there, and outlive its silence
	// by a time that follows what a run takes. Their Deliveries count those
	// whose holder is known to have died, and this one: that a lease lapsed says
	// nothing about its frame.
	Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error)
	// Append puts a frame into the store, as [store.Store.Append] does: for
	// nodes whose own store is weaker, and for ledgers. Large data that it
	// names was put there before.
	Append(ctx context.Context, to store.Queue, f store.Frame) error
	// OpenBlob reads large data that lies there. Who reads it checks it.
	OpenBlob(ctx context.Context, b packet.Blob) (io.ReadCloser, error)
	// PutBlob puts large data there and returns when it is as safe as a frame
	// would be. It is held for the caller until a frame that names it was
	// appended, but not for long: DropBlob lets go of it.
	PutBlob(ctx context.Context, b packet.Blob, r io.Reader) error
	DropBlob(ctx context.Context, b packet.Blob) error
}

// A Served is a node's store as a peer uses it over one connection.
type Served interface {
	Store
	// Resume is told which frames the peer has leased over earlier connections: it
	// runs them still, or has acknowledged them and does not know whether that
	// arrived. It gives the leases of those in this order, nil for one that has
	// ended, and gives back what else the peer had. It waits until the node knows
	// what was leased before it started, or ctx ends.
	Resume(ctx context.Context, frames []store.Ref) ([]store.Lease, error)
	// Leave gives back at once what the peer has: it ends.
	Leave()
}

// A Lapsing lease knows whether its owner keeps it. Leases of peers are Lapsing.
type Lapsing interface {
	// Lapsed tells whether the lease has ended, or may have, since nothing is heard
	// of its owner: what has not begun under it by then is not to begin. It is
	// cheap. A lease of which the owner knew again when it came back has not lapsed.
	Lapsed() bool
}

// A Spoiled lease can be told that its frame is not what was stored: its owner
// then sets it aside. Leases of peers are Spoiled.
type Spoiled interface {
	Spoil() error
}

// A Host is this node, as the mesh serves it to its peers. It is safe for
// concurrent use.
type Host interface {
	// Card is what the node says of itself now. Changed gives a channel that is
	// closed when it says something else.
	Card() Card
	Changed() <-chan struct{}
	// Serve is the node's store as the peer of that name uses it over one
	// connection, until ctx ends. boot is the start of the peer: leases of an
	// earlier one end, since its process has died, and those of this one can be
	// resumed over the next connection.
	Serve(ctx context.Context, peer string, boot packet.ID) Served
	// Meet tells the node who its peers are, all of them, whenever that or a
	// card has changed.
	Meet(peers []Peer)
}
