package pebble

import (
	"context"
	"errors"
	"fmt"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// find reads the frames that the request takes out without a lease.
func (s *storage) find(r *request) error {
	if r.tx == nil {
		return nil
	}
	for _, ref := range r.tx.Remove {
		if err := s.findFrame(r, ref); err != nil {
			return inFrame(ref.At, ref.Number, err)
		}
	}
	for _, q := range r.tx.Clear {
		if err := s.findAll(r, q); err != nil {
			return fmt.Errorf("clear %s: %w", q, err)
		}
	}
	return nil
}

// findFrame finds a frame that may be in memory or not.
func (s *storage) findFrame(r *request, ref store.Ref) error {
	s.mu.Lock()
	q := s.byName[ref.At]
	var f *frame
	if q != nil {
		f = q.inMemory[ref.Number]
	}
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	if f == nil && s.memory {
		return nil
	}
	if f == nil {
		value, done, err := s.db.Get(frameKey(nil, ref.At, ref.Number))
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found, err := parseFrame(slices.Clone(value))
		_ = done.Close() // only read
		if err != nil {
			return err
		}
		found.number = ref.Number
		f = &frame{content: found}
	}
	r.removes = append(r.removes, placed{queue: q, frame: f})
	return nil
}

// findAll finds all frames of a queue.
func (s *storage) findAll(r *request, name store.Queue) error {
	s.mu.Lock()
	q := s.byName[name]
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	if s.memory {
		s.mu.Lock()
		for f := q.first; f != nil; f = f.next {
			r.removes = append(r.removes, placed{queue: q, frame: f})
		}
		s.mu.Unlock()
	}
	prefix := frameKey(nil, name, 0)
	prefix = prefix[:len(prefix)-8]
	var damaged error
	err := s.each(context.Background(), prefix, after(prefix), func(key, value []byte) bool {
		f, err := parseFrame(slices.Clone(value))
		if err != nil {
			damaged = inFrame(name, numberOf(key), err)
			return false
		}
		f.number = numberOf(key)
		r.removes = append(r.removes, placed{queue: q, frame: &frame{content: f}})
		return true
	})
	if err = errors.Join(err, damaged); err != nil {
		return err
	}
	return s.each(context.Background(), []byte{keyDelayed}, []byte{keyDelayed + 1}, func(key, value []byte) bool {
		if d, err := parseDelayed(key, slices.Clone(value)); err == nil && d.to == name {
			d.frame.number = d.number
			r.removes = append(r.removes, placed{queue: q, frame: &frame{content: d.frame}, due: d.due, after: d.after})
		}
		return true
	})
}
