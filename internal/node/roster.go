package node

import (
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/seed"
)

// A roster is which seeds the node runs and which peers it has.
type roster struct {
	*lender
	said     atomic.Pointer[said]
	folders  atomic.Pointer[func() []Folder]
	turns    turns
	recalled sync.Once
	changed  chan struct{} // has an element when the snapshot is new
	toSave   chan struct{} // has an element when subscriptions are to be written down, or pass

	change  sync.Mutex     // held while seeds come and go
	leaving map[*host]bool // seeds that finish what they have
	ran     bool           // Run was called
	begun   bool           // injectors may run
	closed  bool
	peers   []*peer // by name
	refused map[seed.Name]mesh.Refused
	next    map[seed.Name]*host // versions that take the place of seeds once they are loaded
	subs    subscriptions
	told    map[seed.Name]bool // the seeds that the node was told to host
	// toldAway are the seeds of which it was said that they are away.
	toldAway map[seed.Name]bool
	unsaved  map[subKey]bool
	halted   map[seed.Name]chan struct{} // paused seeds; closed when they run again
}

// A said is what the node says of itself, until it says something else.
type said struct {
	card  mesh.Card
	later chan struct{} // closed when there is another
}

// A Folder is one whose files become packets: how many were taken and refused since the
// start, how many lie there that are none to take, and how many are written to.
type Folder struct {
	Dir      string
	Taken    int
	Refused  int
	Left     int
	Changing int
}

func newRoster(l *lender) *roster {
	return &roster{
		lender: l, changed: make(chan struct{}, 1), toSave: make(chan struct{}, 1),
		leaving: map[*host]bool{}, refused: map[seed.Name]mesh.Refused{}, halted: map[seed.Name]chan struct{}{}, next: map[seed.Name]*host{},
		subs: subscriptions{}, told: map[seed.Name]bool{}, toldAway: map[seed.Name]bool{}, unsaved: map[subKey]bool{},
	}
}

// Started tells whether the node runs: its injectors may, and what lies in its store moves.
func (r *roster) Started() bool {
	r.change.Lock()
	defer r.change.Unlock()
	return r.begun
}
