package pebble

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Queues counts what lies in every queue.
func (s *storage) Queues(ctx context.Context) ([]store.Count, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, store.ErrClosed
	}
	counts := make([]store.Count, 0, len(s.byName))
	var unknown []int // whose oldest frame is not in memory
	for _, q := range s.byName {
		if q.frames == 0 {
			continue
		}
		c := store.Count{Queue: q.name, Frames: q.frames, Packets: q.packets, Bytes: q.bytes}
		if q.first != nil {
			c.Since = timeOf(q.first.since)
		} else {
			unknown = append(unknown, len(counts))
		}
		counts = append(counts, c)
	}
	s.mu.Unlock()
	if err := s.oldest(ctx, counts, unknown); err != nil {
		return nil, err
	}
	slices.SortFunc(counts, func(a, b store.Count) int { return strings.Compare(string(a.Queue), string(b.Queue)) })
	return counts, ctx.Err()
}

// oldest sets since when there are frames in those of the counts.
func (s *storage) oldest(ctx context.Context, counts []store.Count, which []int) error {
	if len(which) == 0 {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.reads.Done()
	it, err := s.db.NewIter(&engine.IterOptions{LowerBound: []byte{keyFrame}, UpperBound: []byte{keyFrame + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	var key []byte
	for _, i := range which {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := &counts[i]
		key = frameKey(key[:0], c.Queue, s.low(c.Queue))
		if it.SeekGE(key) && bytes.HasPrefix(it.Key(), key[:len(key)-8]) {
			if f, err := parseFrame(it.Value()); err == nil {
				c.Since = timeOf(f.since)
				continue
			}
		}
		if err := it.Error(); err != nil {
			return err
		}
		// It is damaged, or all are delayed.
		err := s.Look(ctx, c.Queue, 0, func(f store.Stored) bool {
			c.Since = f.Since
			return false
		})
		if err != nil {
			return err
		}
		if c.Since.IsZero() { // it is counted, and about to be seen
			c.Since = timeOf(s.clock.now())
		}
	}
	return nil
}

// Look shows the frames that are there when it is called.
func (s *storage) Look(ctx context.Context, at store.Queue, from uint64, visit func(store.Stored) bool) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.reads.Done()
	s.mu.Lock()
	q := s.byName[at]
	low, delayed := uint64(0), false
	if q != nil {
		low, delayed = q.low, q.delayed > 0
	}
	s.mu.Unlock()
	if q == nil {
		return ctx.Err()
	}
	// A frame whose delay ends meanwhile is in one of both.
	s.mu.Lock()
	snapshot := s.db.NewSnapshot()
	held := q.held(from)
	s.mu.Unlock()
	defer snapshot.Close()
	more := true
	for _, f := range held {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more = visit(store.Stored{Number: f.number, Data: bytes.Clone(f.data), Since: timeOf(f.since)}); !more {
			return nil
		}
	}
	prefix := frameKey(nil, at, 0)
	err := s.eachOf(ctx, snapshot, frameKey(nil, at, max(from, low)), after(prefix[:len(prefix)-8]), func(key, value []byte) bool {
		f, err := parseFrame(bytes.Clone(value))
		if err != nil {
			s.damage.add(inFrame(at, numberOf(key), err).Error())
			return true
		}
		more = visit(store.Stored{Number: numberOf(key), Data: f.data, Since: timeOf(f.since)})
		return more
	})
	if err != nil || !more || !delayed {
		return err
	}
	return s.eachOf(ctx, snapshot, []byte{keyDelayed}, []byte{keyDelayed + 1}, func(key, value []byte) bool {
		d, err := parseDelayed(key, bytes.Clone(value))
		if err != nil || d.to != at {
			return true
		}
		return visit(store.Stored{Data: d.frame.data, Since: timeOf(d.frame.since), NotBefore: timeOf(d.due)})
	})
}

// held are the frames of a queue whose list is all that there is, from that number
// on; their numbers, data and times never change. The caller holds the lock.
func (q *queue) held(from uint64) (frames []*frame) {
	if !q.shared.memory {
		return nil
	}
	for f := q.first; f != nil; f = f.next {
		if f.number >= from {
			frames = append(frames, f)
		}
	}
	return frames
}

// each shows what lies from one key to before another. The caller has begun a
// read.
func (s *storage) each(ctx context.Context, from, to []byte, visit func(key, value []byte) bool) error {
	return s.eachOf(ctx, s.db, from, to, visit)
}

// eachOf is each of the engine, or of a snapshot of it.
func (s *storage) eachOf(ctx context.Context, of engine.Reader, from, to []byte, visit func(key, value []byte) bool) error {
	it, err := of.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			return store.ErrClosed
		}
		if !visit(it.Key(), it.Value()) {
			return nil
		}
	}
	return it.Error()
}

// Get is one record.
func (s *storage) Get(ctx context.Context, key store.Key) ([]byte, bool, error) {
	if err := errors.Join(ctx.Err(), key.Check()); err != nil {
		return nil, false, err
	}
	if err := s.begin(); err != nil {
		return nil, false, err
	}
	defer s.reads.Done()
	value, done, err := s.db.Get(recordKey(key))
	if errors.Is(err, engine.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer done.Close()
	return bytes.Clone(value), true, nil
}

// Scan shows records.
func (s *storage) Scan(ctx context.Context, table store.Table, prefix string, visit func(string, []byte) bool) error {
	if err := errors.Join(ctx.Err(), table.Check()); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.reads.Done()
	from := recordKey(store.Key{In: table, Key: prefix})
	head := len(from) - len(prefix)
	return s.each(ctx, from, after(from), func(key, value []byte) bool {
		return visit(string(key[head:]), bytes.Clone(value))
	})
}

// Blobs shows the large data that frames name, once for each frame.
func (s *storage) Blobs(ctx context.Context, visit func(packet.Sum)) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.reads.Done()
	for _, sum := range s.heldBlobs() {
		visit(sum)
	}
	return s.each(ctx, []byte{keyBlob}, []byte{keyBlob + 1}, func(key, _ []byte) bool {
		var sum packet.Sum
		copy(sum[:], key[1:])
		visit(sum)
		return true
	})
}

// heldBlobs is what the frames name that are in the lists of their queues alone.
func (s *storage) heldBlobs() (sums []packet.Sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.byName {
		for _, f := range q.held(0) {
			sums = append(sums, f.blobs...)
		}
	}
	return sums
}
