package node

import (
	"sync"
	"time"
)

// patience is how long an inbox keeps its packets for a seed that nobody hosts.
const patience = 60 * time.Second

// A sorter looks after what lies in the own store and nobody has leased: what waits and is
// accepted by now, the inboxes of seeds that are gone, what people ask for by hand.
type sorter struct {
	*flow
	waits    *waits
	backlogs backlogs
	patience time.Duration // with inboxes whose seed has no host
	emptying sync.Mutex    // held while frames leave an inbox that nobody pulls from
	orphaned chan struct{} // has an element when the subscription of a seed has ended
}

func newSorter(f *flow) *sorter {
	return &sorter{flow: f, waits: newWaits(), patience: patience, orphaned: make(chan struct{}, 1)}
}
