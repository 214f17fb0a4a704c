package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/seed"
)

// onceTable remembers which injectors have ended, by name, with the time, 8 bytes
// of nanoseconds since 1970, little endian. The name alone counts: who edits an
// injector that has brought in all its data does not ask for all of it again.
const onceTable store.Table = "once"

func onceKey(name seed.Name) store.Key { return store.Key{In: onceTable, Key: string(name)} }

// endedBefore tells whether the injector has ended, in this start of the node or, as the
// store remembers, in another, and says so. It waits for the store if need be.
func (s *ownStore) endedBefore(ctx context.Context, name seed.Name) bool {
	if s.onced.has(name) {
		s.log.Info(fmt.Sprintf("injector %s says pmk-once and has ended: it does not run again", name), "seed", name)
		return true
	}
	if !s.durable() {
		return false
	}
	var since time.Time
	err := storePauses.Until(ctx, func() error {
		value, ok, err := s.store.Get(ctx, onceKey(name))
		if err == nil && ok && len(value) == 8 {
			since = time.Unix(0, int64(binary.LittleEndian.Uint64(value))) //nolint:gosec // as it was written
		}
		return err
	}, func(err error) {
		s.log.Debug("looking whether an injector has ended before", "seed", name, "error", err)
	})
	if err != nil {
		return true // the node ends
	}
	if since.IsZero() {
		return false
	}
	s.log.Info(fmt.Sprintf("injector %s says pmk-once and ended on %s: it does not run again; another pmk-name makes it a new one",
		name, since.Local().Format("2006-01-02 15:04:05")), "seed", name)
	s.onced.add(name)
	return true
}

// rememberEnd writes down that the injector has ended. All that it gave is
// stored by then.
func (s *ownStore) rememberEnd(ctx context.Context, name seed.Name) {
	s.onced.add(name)
	if !s.durable() {
		return
	}
	now := binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano())) //nolint:gosec // after 1970
	tx := &store.Tx{Put: []store.Record{{Key: onceKey(name), Value: now}}, Durable: true}
	if err := s.store.Commit(ctx, tx); err != nil {
		s.log.Warn(fmt.Sprintf("injector %s says pmk-once and has ended, but this could not be recorded: it runs again when the node starts again", name), "error", err, "seed", name)
	}
}
