package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// The ids of packets from outside are remembered, so that a packet which is sent
// again is answered as taken and not stored again. In the node's own store they
// are three tables, which change in the transaction that stores the packets; times
// are 8 bytes, nanoseconds since 1970, big endian:
//
//	seen       id: time
//	seenat     time, id: nothing
//	seencount  "added": how many ids were ever added, 8 bytes, and when the last
//	           one was; "removed": how many were ever removed, 8 bytes
//
// Where packets do not pass the store, and in a store that several nodes share, the
// node remembers in memory what it took itself. In a cluster every id would be two
// writes, a look-up and later two deletions that go through a quorum, beside a frame
// that is one write for 256 packets; and its transactions may be cut off between a
// frame and the records, after which a packet comes twice all the same, with one id.
const (
	seenTable      store.Table = "seen"
	seenAtTable    store.Table = "seenat"
	seenCountTable store.Table = "seencount"

	seenAdded   = "added"
	seenRemoved = "removed"
)

const (
	// seenFor is how long an id is remembered.
	seenFor = 24 * time.Hour
	// seenMost is how many are, in a store without a size.
	seenMost = 1_000_000
	// seenBytes is about what one takes; all of them take a hundredth of the
	// store.
	seenBytes = 100
	// seenBatch is how many are removed in one transaction.
	seenBatch = 1000
	// seenPause is the shortest time between two looks at what is to be removed,
	// unless there are too many.
	seenPause = time.Minute
)

// A seen knows the ids that came from outside, and those that are coming.
type seen struct {
	store   store.Store
	table   bool         // they are remembered in the store, else in memory
	now     func() int64 // nanoseconds since 1970; it never goes back
	most    int
	tooMany chan struct{} // has an element when there are

	mu     sync.Mutex
	coming map[packet.ID]*claim
	ids    map[packet.ID]int64 // in memory
	order  []seenID            // in memory, oldest first

	// Of the table.
	loading        sync.Mutex
	loaded         atomic.Bool
	added, removed atomic.Int64
	ahead          bool // the clock of an earlier process was
}

// A seenID is when an id was remembered.
type seenID struct {
	at int64
	id packet.ID
}

// A claim is a packet from outside that is on its way into the store. Who comes
// with the same id waits for its end.
type claim struct {
	seen  *seen
	id    packet.ID
	by    *sender        // of the packet, once it is in a commit
	with  []store.Record // are stored with the packet
	ended bool
	taken bool
	done  chan struct{} // closed at the end; nil while nobody waits
}

func newSeen(s store.Store, d Durability, c clock) *seen {
	_, shared := s.(store.Shared)
	known := &seen{
		store: s, table: d != None && !shared, now: func() int64 { return c.base.UnixNano() + int64(c.now()) }, most: seenMost,
		tooMany: make(chan struct{}, 1), coming: map[packet.ID]*claim{}, ids: map[packet.ID]int64{},
	}
	if s != nil {
		if size := s.State().Size; size > 0 {
			known.most = int(max(size/100/seenBytes, 1))
		}
	}
	return known
}

// claim is for who brings a packet of this id: nil if that was taken before. Of
// several at the same time one has the claim, and the others wait for its end.
func (s *seen) claim(ctx context.Context, id packet.ID) (*claim, error) {
	mine := &claim{seen: s, id: id}
	for {
		s.mu.Lock()
		other := s.coming[id]
		if other == nil {
			s.coming[id] = mine
			s.mu.Unlock()
			break
		}
		if other.done == nil {
			other.done = make(chan struct{})
		}
		done := other.done
		s.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if other.taken {
			return nil, nil
		}
	}
	known, err := s.knows(ctx, id)
	if err != nil || known {
		mine.finish(known)
		return nil, err
	}
	return mine, nil
}

// end ends a claim, if there is one: the packet was taken, or it was not.
func (c *claim) end(taken bool) {
	if c == nil {
		return
	}
	if taken && !c.seen.table {
		c.seen.remember(c.id)
	}
	c.finish(taken)
}

// finish tells those who wait. A second end of a claim has no meaning.
func (c *claim) finish(taken bool) {
	s := c.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ended {
		return
	}
	c.ended, c.taken = true, taken
	delete(s.coming, c.id)
	if c.done != nil {
		close(c.done)
	}
}

// expired tells whether what was remembered then is forgotten. A time to come is
// that of a clock that was wrong, and counts as now.
func (s *seen) expired(at int64) bool { return s.now()-at >= int64(seenFor) }

// remember remembers an id in memory.
func (s *seen) remember(id packet.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.ids[id] = now
	s.order = append(s.order, seenID{now, id})
	gone := 0
	for gone < len(s.order) && (len(s.order)-gone > s.most || s.expired(s.order[gone].at)) {
		if old := s.order[gone]; s.ids[old.id] == old.at {
			delete(s.ids, old.id)
		}
		gone++
	}
	s.order = s.order[gone:]
}

// knows tells whether the id is remembered. While the store cannot be read it waits.
func (s *seen) knows(ctx context.Context, id packet.ID) (bool, error) {
	if !s.table {
		s.mu.Lock()
		defer s.mu.Unlock()
		at, ok := s.ids[id]
		return ok && !s.expired(at), nil
	}
	for wait := storePauses; ; {
		known, err := s.inTable(ctx, id)
		if err == nil || errors.Is(err, store.ErrClosed) {
			return known, err
		}
		if !wait.For(ctx) {
			return false, ctx.Err()
		}
	}
}

// inTable tells whether the id is in the table.
func (s *seen) inTable(ctx context.Context, id packet.ID) (bool, error) {
	if err := s.load(ctx); err != nil {
		return false, err
	}
	value, ok, err := s.store.Get(ctx, seenKey(id))
	at, read := timeIn(value)
	return ok && read && !s.expired(at), err
}

func seenKey(id packet.ID) store.Key { return store.Key{In: seenTable, Key: string(id.Append(nil))} }

func (s seenID) key() store.Key {
	return store.Key{In: seenAtTable, Key: string(s.id.Append(binary.BigEndian.AppendUint64(nil, uint64(s.at))))} //nolint:gosec // after 1970
}

// seenIDIn reads what key writes.
func seenIDIn(key string) (s seenID, ok bool) {
	if len(key) != 8+16 {
		return s, false
	}
	return seenID{int64(binary.BigEndian.Uint64([]byte(key[:8]))), packet.IDOf([16]byte([]byte(key[8:])))}, true //nolint:gosec // as written
}

// timeIn reads the time at the begin of a value.
func timeIn(value []byte) (at int64, ok bool) {
	if len(value) < 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(value)), true //nolint:gosec // as written
}

// load reads how many ids there are, once.
func (s *seen) load(ctx context.Context) error {
	if s.loaded.Load() {
		return nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.loaded.Load() {
		return nil
	}
	added, _, err := s.store.Get(ctx, store.Key{In: seenCountTable, Key: seenAdded})
	if err != nil {
		return err
	}
	removed, _, err := s.store.Get(ctx, store.Key{In: seenCountTable, Key: seenRemoved})
	if err != nil {
		return err
	}
	if count, ok := timeIn(added); ok {
		s.added.Store(count)
		last, _ := timeIn(added[8:])
		s.ahead = last > s.now()
	}
	if count, ok := timeIn(removed); ok {
		s.removed.Store(count)
	}
	s.loaded.Store(true)
	return nil
}

func (s *seen) count() int64 { return s.added.Load() - s.removed.Load() }

// put adds what is to be remembered of these claims, and the records that go with their
// packets, to the transaction that stores the packets, and returns what is to be called
// with its outcome. Of commits that overtake one another the count that stays may be that
// of the earlier: until the next, it is too low by the ids of one.
func (s *seen) put(tx *store.Tx, claims []*claim) (done func(stored bool)) {
	for i := range claims {
		tx.Put = append(tx.Put, claims[i].with...)
	}
	if !s.table || len(claims) == 0 {
		return func(bool) {}
	}
	now, n := s.now(), int64(len(claims))
	at := binary.BigEndian.AppendUint64(nil, uint64(now)) //nolint:gosec // after 1970
	for i := range claims {
		id := claims[i].id
		tx.Put = append(tx.Put, store.Record{Key: seenKey(id), Value: at}, store.Record{Key: seenID{now, id}.key()})
	}
	total := binary.BigEndian.AppendUint64(nil, uint64(s.added.Add(n))) //nolint:gosec // a count
	tx.Put = append(tx.Put, store.Record{Key: store.Key{In: seenCountTable, Key: seenAdded}, Value: append(total, at...)})
	return func(stored bool) {
		if !stored {
			s.added.Add(-n)
		} else if s.count() > int64(s.most) {
			select {
			case s.tooMany <- struct{}{}:
			default:
			}
		}
	}
}

// run removes ids that are too old or too many, until ctx ends.
func (s *seen) run(ctx context.Context, failed func(error)) {
	if !s.table {
		return
	}
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		case <-s.tooMany:
		}
		next, err := s.clear(ctx)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		due.Reset(max(next, seenPause))
	}
}

// clear removes what is to be, and returns when the next is due.
func (s *seen) clear(ctx context.Context) (next time.Duration, err error) {
	if err := s.load(ctx); err != nil {
		return seenPause, err
	}
	if err := s.correct(ctx); err != nil {
		return seenPause, fmt.Errorf("the times of ids: %w", err)
	}
	for {
		over := int64(0)
		if count := s.count(); count > int64(s.most) {
			over = count - int64(s.most-s.most/16) // some more, so as not to come back at once
		}
		next = seenFor
		var old []seenID
		var strange []store.Key
		err := s.store.Scan(ctx, seenAtTable, "", func(key string, _ []byte) bool {
			one, ok := seenIDIn(key)
			switch {
			case !ok:
				strange = append(strange, store.Key{In: seenAtTable, Key: key})
			case int64(len(old)) < over || s.expired(one.at):
				old = append(old, one)
			default:
				next = min(time.Duration(one.at+int64(seenFor)-s.now()), seenFor)
				return false
			}
			return len(old)+len(strange) < seenBatch
		})
		if err != nil {
			return seenPause, err
		}
		if len(old)+len(strange) == 0 {
			return next, nil
		}
		if some, err := s.remove(ctx, old, strange); err != nil || !some {
			return seenPause, err
		}
	}
}

// remove forgets these ids, and tells whether it did so for any. Those that are
// coming again just now are left out; who brings one meanwhile waits.
func (s *seen) remove(ctx context.Context, old []seenID, strange []store.Key) (some bool, err error) {
	tx := &store.Tx{Delete: strange}
	var held []*claim
	defer func() {
		for _, c := range held {
			c.finish(false)
		}
	}()
	for _, one := range old {
		c := &claim{seen: s, id: one.id}
		s.mu.Lock()
		if s.coming[one.id] != nil {
			s.mu.Unlock()
			continue
		}
		s.coming[one.id] = c
		s.mu.Unlock()
		held = append(held, c)
		tx.Delete = append(tx.Delete, one.key())
		value, ok, err := s.store.Get(ctx, seenKey(one.id))
		if err != nil {
			return false, err
		}
		if at, read := timeIn(value); ok && (!read || at == one.at) {
			tx.Delete = append(tx.Delete, seenKey(one.id))
		}
	}
	n := int64(len(held))
	total := binary.BigEndian.AppendUint64(nil, uint64(s.removed.Load()+n)) //nolint:gosec // a count
	tx.Put = []store.Record{{Key: store.Key{In: seenCountTable, Key: seenRemoved}, Value: total}}
	if len(tx.Delete) == 0 {
		return false, nil
	}
	if err := s.store.Commit(ctx, tx); err != nil {
		return false, err
	}
	s.removed.Add(n)
	return true, nil
}

// correct gives ids whose time is still to come the present one, once: the clock of
// an earlier process was ahead.
func (s *seen) correct(ctx context.Context) error {
	s.loading.Lock()
	ahead := s.ahead
	s.loading.Unlock()
	if !ahead {
		return nil
	}
	now := s.now()
	at := binary.BigEndian.AppendUint64(nil, uint64(now)) //nolint:gosec // after 1970
	tx := new(store.Tx)
	var failed error
	commit := func() bool {
		failed = s.store.Commit(ctx, tx)
		tx = new(store.Tx)
		return failed == nil
	}
	err := s.store.Scan(ctx, seenAtTable, "", func(key string, _ []byte) bool {
		if one, ok := seenIDIn(key); ok && one.at > s.now() {
			tx.Delete = append(tx.Delete, one.key())
			tx.Put = append(tx.Put, store.Record{Key: seenKey(one.id), Value: at}, store.Record{Key: seenID{now, one.id}.key()})
		}
		return len(tx.Delete) < seenBatch || commit()
	})
	if err == nil && failed == nil {
		commit()
	}
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	s.loading.Lock()
	s.ahead = false
	s.loading.Unlock()
	return nil
}
