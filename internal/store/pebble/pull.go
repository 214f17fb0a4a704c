package pebble

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// Pull leases frames, and waits for the first.
func (s *storage) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	leases, err := s.pull(ctx, from, most)
	if err != nil {
		return nil, fmt.Errorf("pull from %s: %w", from, err)
	}
	return leases, nil
}

func (s *storage) pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	if most < 1 {
		return nil, fmt.Errorf("at most %d frames were asked for; expected 1 or more", most)
	}
	if err := from.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	q := s.queue(from)
	q.pulls++
	leases, err := s.takeOrRead(q, most)
	if len(leases) == 0 && err == nil {
		leases, err = s.await(ctx, q, most)
	}
	q.pulls--
	// Whether this pull took what it was woken for or gives up: if there is
	// something left, it is the next one's turn.
	q.wake()
	s.tidy(q)
	switch {
	case len(leases) > 0:
		return leases, nil
	case err != nil:
		return nil, err
	case s.closed:
		return nil, store.ErrClosed
	}
	return nil, ctx.Err()
}

// await takes frames as soon as there are any; none when ctx or the store ended.
// The caller holds the lock, which is given up meanwhile.
func (s *storage) await(ctx context.Context, q *queue, most int) ([]store.Lease, error) {
	w := make(waiter, 1)
	q.waiters = append(q.waiters, w)
	for {
		s.mu.Unlock()
		select {
		case <-w:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if s.closed || ctx.Err() != nil {
			q.leave(w)
			return nil, nil
		}
		if leases, err := s.takeOrRead(q, most); len(leases) > 0 || err != nil {
			return leases, err
		}
		if s.closed || ctx.Err() != nil {
			return nil, nil
		}
		q.waiters = slices.Insert(q.waiters, 0, w) // somebody was faster; it stays the next
	}
}

// takeOrRead leases what is in memory, or reads frames of the backlog and
// leases those. The caller holds the lock, which is given up while they are
// read.
func (s *storage) takeOrRead(q *queue, most int) ([]store.Lease, error) {
	for q.free == 0 && q.backlog && !q.reading && !s.closed {
		if err := s.readBacklog(q, most); err != nil {
			return nil, err
		}
	}
	return q.take(most), nil
}

const (
	// maxRead and maxReadBytes bound what is read of a backlog at a time.
	maxRead      = 64
	maxReadBytes = 2 << 20
)

// readBacklog reads the next frames of the backlog into memory. The caller holds
// the lock, which is given up meanwhile.
func (s *storage) readBacklog(q *queue, most int) error {
	from, to := q.backlogFrom, q.backlogTo
	q.reading = true
	var found []*frame
	var next uint64
	var err error
	removed := q.read(func() { found, next, err = s.readFrames(q.name, from, to, max(most, maxRead)) })
	q.reading = false
	q.addRead(slices.DeleteFunc(found, func(f *frame) bool { return removed[f.number] }), next)
	return err
}

// read reads frames of the backlog without the lock, which the caller holds, and gives
// the numbers of those that were taken out meanwhile.
func (q *queue) read(do func()) (removed map[uint64]bool) {
	if q.readers++; q.readers == 1 {
		q.readFrom = q.backlogFrom
	}
	q.shared.reads.Add(1)
	q.shared.mu.Unlock()
	do()
	q.shared.reads.Done()
	q.shared.mu.Lock()
	removed = q.removed
	if q.readers--; q.readers == 0 {
		q.removed = nil
	}
	return removed
}

// addRead puts frames of the backlog at the end of the list, in their order with those
// below next that are in memory already.
func (q *queue) addRead(found []*frame, next uint64) {
	found = slices.DeleteFunc(found, func(f *frame) bool { return q.ahead[f.number] != nil })
	read := len(found)
	for number, f := range q.ahead {
		if number < next {
			found = append(found, f)
		}
	}
	if len(found) > read {
		slices.SortFunc(found, func(a, b *frame) int { return cmp.Compare(a.number, b.number) })
	}
	for _, f := range found {
		if q.ahead[f.number] == nil {
			q.add(f)
			continue
		}
		delete(q.ahead, f.number)
		q.link(f)
		if f.holder == 0 && f.in == nil {
			q.setFree(f)
		}
	}
	q.backlogFrom = next
	if next > q.backlogTo {
		q.backlog = false
	}
}

// readFrames reads at most most frames with numbers from from to to. next is
// the number to go on with.
func (s *storage) readFrames(name store.Queue, from, to uint64, most int) (found []*frame, next uint64, err error) {
	it, err := s.db.NewIter(&engine.IterOptions{
		LowerBound: frameKey(nil, name, from), UpperBound: after(frameKey(nil, name, to)),
	})
	if err != nil {
		return nil, from, err
	}
	defer it.Close()
	size := 0
	next = from
	for ok := it.First(); ok; ok = it.Next() {
		if len(found) >= most || size >= maxReadBytes {
			return found, next, nil
		}
		number := numberOf(it.Key())
		next = number + 1
		f, err := parseFrame(bytes.Clone(it.Value()))
		if err != nil {
			s.damage.add(inFrame(name, number, err).Error())
			continue
		}
		f.number = number
		found = append(found, &frame{content: f})
		size += len(f.data)
	}
	if err := it.Error(); err != nil {
		return found, s.skip(name, next, to, err), nil
	}
	return found, to + 1, nil
}

// skip finds where a queue can be read again behind a place that is damaged.
func (s *storage) skip(name store.Queue, from, to uint64, why error) uint64 {
	next := to + 1
	for step := uint64(1); from+step <= to; step *= 2 {
		it, err := s.db.NewIter(&engine.IterOptions{LowerBound: frameKey(nil, name, from+step), UpperBound: after(frameKey(nil, name, to))})
		if err != nil {
			break
		}
		ok := it.First()
		if ok {
			next = numberOf(it.Key())
		}
		err = it.Error()
		_ = it.Close() // the error was looked at
		if ok && err == nil {
			break
		}
		next = to + 1
	}
	s.damage.add(fmt.Sprintf("frames of %s from number %d to %d: %v", name, from, next-1, why))
	return next
}
