package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
)

// An ownStore is the node's own store, with the large data beside its frames, the ids that
// came from outside, and the progress of its frames.
type ownStore struct {
	*lifetime
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

func newOwnStore(l *lifetime) *ownStore {
	s := &ownStore{lifetime: l, store: l.cfg.Store, seen: newSeen(l.cfg.Store, l.cfg.Durability, l.clock)}
	if l.cfg.Blobs != nil {
		s.blobs = boundedBlobs{l.cfg.Blobs, s.bound}
	}
	return s
}

// The pauses between attempts to store.
const (
	minPause = 5 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

var storePauses = pause.Growing{First: minPause, Most: maxPause}

// commit does tx with these frames appended in the own store, and holds the
// large data that they name.
func (s *ownStore) commit(tx *store.Tx, frames []*filling) error {
	for _, f := range frames {
		tx.Append = append(tx.Append, f.encode())
		s.holdBlobs(f.packets)
	}
	began := s.clock.now()
	// What is ready when the node ends is stored all the same.
	err := s.store.Commit(context.Background(), tx)
	if tx.Durable {
		s.appends.add(s.clock.now() - began)
	}
	if err != nil && notStored(err) { // else it may have been; the next start finds out
		for _, f := range frames {
			s.dropBlobs(f.packets)
		}
	}
	return err
}

// notStored tells whether after this error nothing was stored.
func notStored(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrBroken) || errors.Is(err, store.ErrLapsed)
}

// storeTrouble says once why the store takes nothing, until it takes packets
// again.
func (s *ownStore) storeTrouble(err error) {
	s.failed.Store(int64(s.clock.now()))
	if s.trouble.Swap(true) {
		return
	}
	s.log.Warn(fmt.Sprintf("packets are held back: %v; nothing is lost: they continue when there is room ('pmk ps' shows what waits)", err))
	s.goroutines.Go(func() {
		for pause.For(s.running, maxPause) {
			quiet := s.clock.now()-time.Duration(s.failed.Load()) > troubleTime
			if st := s.store.State(); quiet && st.Err == nil && (st.Size == 0 || st.Used < st.Size) {
				s.trouble.Store(false)
				s.log.Info("the store takes packets again")
				return
			}
		}
	})
}

// troubleTime is how long no commit has failed before the store is said to be
// well: at its brim it takes one packet and refuses the next.
const troubleTime = 4 * maxPause

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
