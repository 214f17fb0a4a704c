package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// readQueues reads which queues there are.
func (w *filler) readQueues() error {
	w.next = 1
	switch value, done, err := w.db.Get(keyNext); {
	case errors.Is(err, engine.ErrNotFound):
	case err != nil:
		return err
	default:
		if len(value) == 8 {
			w.next = binary.LittleEndian.Uint64(value)
		}
		damaged := len(value) != 8 || w.next == 0
		_ = done.Close() // only read
		if damaged {
			return fmt.Errorf("the next frame's number: %w", errLayout)
		}
	}
	// Durable before any is drawn: numbers that others have seen are not drawn
	// again after a crash that loses their frames.
	w.reserved = w.next + reserve
	sync := engine.Sync
	if w.memory {
		sync = engine.NoSync
	}
	if err := w.db.Set(keyNext, binary.LittleEndian.AppendUint64(nil, w.reserved), sync); err != nil {
		return err
	}
	err := w.each(context.Background(), []byte{keyCount}, []byte{keyCount + 1}, func(key, value []byte) bool {
		q := w.queue(store.Queue(key[1:]))
		var err error
		if q.counts, err = parseCounts(value); err != nil {
			w.damage.add(fmt.Sprintf("the counts of %s: %v", q.name, err))
		}
		q.backlog, q.backlogFrom, q.backlogTo = true, q.low, w.next-1
		w.space.used.Add(q.bytes + int64(q.frames)*overhead)
		return true
	})
	if err != nil {
		return err
	}
	err = w.each(context.Background(), []byte{keyLeased}, []byte{keyLeased + 1}, func(key, value []byte) bool {
		if q := w.byName[store.Queue(key[1:])]; q != nil {
			q.noted = true
			var err error
			if q.leased, err = parseLeased(value); err != nil {
				w.damage.add(fmt.Sprintf("what was leased of %s: %v", q.name, err))
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return w.distrust()
}
