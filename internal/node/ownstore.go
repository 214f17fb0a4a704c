package node

import (
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/seed"
)

// An ownStore is the node's own store, with the large data beside its frames, the ids that
// came from outside, and the progress of its frames.
type ownStore struct {
	lifetime
	store      store.Store
	blobs      store.Blobs
	seen       *seen
	progressed progressed
	appends    appendTimes
	onced      onced

	trouble atomic.Bool  // the store takes no packets, and that was said
	failed  atomic.Int64 // when an append failed last, by the node's clock
	damage  atomic.Int64 // frames that could not be read
	// givenBack is how often a delivery was: of delivery: an *atomic.Int64.
	givenBack sync.Map
	holding   sync.Once // of what an earlier process left
	// hands is held from looking at frames that nobody has leased until they are moved,
	// so that nobody moves a frame that somebody else has taken out since.
	hands sync.Mutex
}

// progressed are the frames of the own store that have records of progress.
type progressed struct {
	mu     sync.Mutex
	frames map[store.Ref]bool
}

// onced are the injectors with pmk-once that have ended, as far as that is known without
// the store.
type onced struct {
	mu    sync.Mutex
	names map[seed.Name]bool
}

func (o *onced) add(name seed.Name) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.names == nil {
		o.names = map[seed.Name]bool{}
	}
	o.names[name] = true
}

func (o *onced) has(name seed.Name) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.names[name]
}

// take takes the store over that the configuration names.
func (s *ownStore) take() {
	s.store, s.seen = s.cfg.Store, newSeen(s.cfg.Store, s.cfg.Durability, s.clock)
	s.progressed.frames = map[store.Ref]bool{}
}

// A taker is a store that leases the frames that it is told.
type taker interface {
	Take(frames []store.Ref) ([]store.Lease, error)
}

// leases tells whether the node can lease a frame that it has looked at.
func (s *ownStore) leases() bool {
	_, able := s.store.(taker)
	return able
}

// AppendTimes are how long it has taken until frames were as safe in the own
// store as it makes them: on disk, with their fsync.
func (s *ownStore) AppendTimes() Times {
	s.appends.mu.Lock()
	defer s.appends.mu.Unlock()
	return s.appends.look()
}
