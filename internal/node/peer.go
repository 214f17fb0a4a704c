package node

import (
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
)

// A peer is another node as this one uses it.
type peer struct {
	mesh.Peer
	name  string
	store mesh.Store // nil where both share one store
	// safer says that what lies in its store outlives what lies in the own one.
	safer bool
	told  []mesh.Hosted // what it hosts, as far as the log says
	// missed is when it was gone, by the node's clock; 0 while it is there.
	missed atomic.Int64
}

const (
	// A lease outlives the silence of the peer that has it by runsOutlived times what
	// a run takes, and within these bounds: a peer that comes back goes on with its
	// runs, and one that has died holds nothing up for ever.
	runsOutlived = 3
	minOutlived  = 10 * time.Second
	maxOutlived  = 10 * time.Minute
)
