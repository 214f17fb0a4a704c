package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// Delayed frames lie in a table by the time when they are due. A timer waits
// for the first; nothing is held of the others.

// The delays move delayed frames to their queues.
type delays struct {
	committer
	moving sync.Mutex // held while they are read and moved
}

// maxMoved is how many delayed frames become free in one transaction.
const maxMoved = 64

// freeDelayed moves delayed frames to their queues when they are due, until the
// store ends.
func (s *delays) freeDelayed() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.due:
		case <-s.ctx.Done():
			return
		}
		wait, err := s.moveDue()
		if err != nil && s.ctx.Err() == nil {
			s.log.Debug("delayed frames could not be moved to their queues", "error", err)
			wait = time.Second
		}
		if wait >= 0 {
			timer.Reset(wait)
		}
	}
}

// moveDue moves what is due, and returns how long it is until the next is; -1 if
// there is none.
func (s *delays) moveDue() (time.Duration, error) {
	for s.ctx.Err() == nil {
		s.expectDue(math.MaxInt64) // whatever comes from here on is news
		moved, next, err := s.moveFirst()
		if err != nil || moved == 0 {
			if next >= 0 {
				s.expectDue(s.clock.now() + int64(next))
			}
			return next, err
		}
	}
	return -1, nil
}

// moveFirst moves the first of what is due, and tells how many that were, or how long it
// is until the next is due.
func (s *delays) moveFirst() (moved int, next time.Duration, err error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	due, next, err := s.firstDelayed()
	if err != nil || len(due) == 0 {
		return 0, next, err
	}
	return len(due), -1, s.submit(context.Background(), &request{moves: due})
}

var _ store.Hurrier = (*delays)(nil)

// Hurry has delayed frames of a queue be free now, those of whose data which says so.
func (s *delays) Hurry(ctx context.Context, at store.Queue, which func(data []byte) bool) (int, error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	var some []*delayed
	count := 0
	submit := func() error {
		if len(some) == 0 {
			return nil
		}
		count += len(some)
		moves := some
		some = nil
		return s.submit(context.Background(), &request{moves: moves})
	}
	var failed error
	err := s.each(ctx, []byte{keyDelayed}, []byte{keyDelayed + 1}, func(key, value []byte) bool {
		if d, err := parseDelayed(key, slices.Clone(value)); err == nil && d.to == at && which(d.frame.data) {
			some = append(some, d)
		}
		if len(some) == maxMoved {
			failed = submit()
		}
		return failed == nil
	})
	if err == nil && failed == nil {
		failed = submit()
	}
	return count, errors.Join(err, failed)
}

// firstDelayed are the first delayed frames that are due, or how long it is
// until the first is.
func (s *delays) firstDelayed() (due []*delayed, next time.Duration, err error) {
	it, err := s.db.NewIter(&engine.IterOptions{LowerBound: []byte{keyDelayed}, UpperBound: []byte{keyDelayed + 1}})
	if err != nil {
		return nil, -1, err
	}
	defer it.Close()
	now := s.clock.now()
	for ok := it.First(); ok && len(due) < maxMoved; ok = it.Next() {
		if at := int64(binary.BigEndian.Uint64(it.Key()[1:])); at > now { //nolint:gosec // as it was written
			return due, time.Duration(at - now), nil
		}
		d, err := parseDelayed(it.Key(), append([]byte(nil), it.Value()...))
		if err != nil {
			s.damage.add("a delayed frame: " + err.Error())
			continue
		}
		due = append(due, d)
	}
	return due, -1, it.Error()
}

// distrust lets no delayed frame wait longer than its delay: what an earlier
// process stored with a clock that ran ahead gets a new time. That is done once,
// since the new time comes from this clock.
func (s *storage) distrust() error {
	it, err := s.db.NewIter(&engine.IterOptions{LowerBound: []byte{keyDelayed}, UpperBound: []byte{keyDelayed + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	now := s.clock.now()
	batch := s.db.NewBatch()
	defer func() { batch.Close() }()
	for ok := it.Last(); ok; ok = it.Prev() {
		if int64(binary.BigEndian.Uint64(it.Key()[1:])) <= now { //nolint:gosec // as it was written
			break
		}
		d, err := parseDelayed(it.Key(), it.Value())
		if err != nil {
			continue // it is reported when it is due
		}
		if d.due-now <= d.after {
			continue
		}
		_ = batch.SingleDelete(d.key(), nil)
		d.due = now + d.after
		_ = batch.Set(d.key(), d.value(), nil) // a batch in memory
		if batch.Len() > maxGroup {
			if err := batch.Commit(engine.NoSync); err != nil {
				return err
			}
			_ = batch.Close()
			batch = s.db.NewBatch()
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	return batch.Commit(engine.NoSync)
}
