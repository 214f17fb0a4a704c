// Package pebble is the store that a node owns: the storage engine Pebble in
// the node's data folder or, for nodes without a disk, in memory.
//
// One write-ahead log serves all queues and tables, so one fsync does for all
// that was committed meanwhile. Commits form groups: while one group is
// applied, those who come gather for the next (see [Store.Commit]). What is
// stored lies in the engine; who has which frame is known to this process
// alone, since nobody else opens its folder (see [queue]). Frames that were
// appended last are also held in memory, up to a bound, so that a frame which
// is pulled soon is never read back.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/store/folder"
)

// A Store is a [store.Store] on Pebble. It is safe for concurrent use.
//
// It consists of layers, each of which holds the one below and knows nothing of those above: what
// all queues share, the queues, the engine with what is read of it, the writer, the line of
// transactions that wait for it, and the delayed frames.
type Store struct {
	delays

	wg      sync.WaitGroup // the goroutines that end with ctx
	closing sync.Once
	ended   error
}

var _ store.Naming = (*Store)(nil)

// Open opens the store in the folder, which nobody else may have open. What
// holders of an earlier process had leased is free again at once. While the
// disk is full it waits, until ctx ends.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s := &Store{}
	s.cfg, s.log, s.gaveUp = cfg, cfg.Log, make(chan struct{})
	s.memory = cfg.Dir == "" && cfg.FS == nil
	s.marked, s.toMark, s.commit = map[*queue]bool{}, make(chan struct{}, 1), s.Commit
	s.byName, s.due = map[store.Queue]*queue{}, make(chan struct{}, 1)
	s.leaving = map[uint64]bool{}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
	if s.cfg.Free == nil && cfg.Dir != "" && cfg.FS == nil {
		s.cfg.Free = func() (int64, int64, error) { return folder.Free(cfg.Dir) }
	}
	if s.cfg.Disk == nil {
		s.cfg.Disk = disk.New(disk.Config{Dir: cfg.Dir, Log: cfg.Log})
	}
	s.clock = newClock(s.cfg.Now)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.space = newSpace(s.cfg.Size, s.cfg.Reserve, s.cfg.Beside, s.cfg.Free, s.memory)
	waits := context.AfterFunc(ctx, func() {
		s.stop()
		s.cfg.Disk.Close()
	})
	err := s.unlessGivenUp(func() error {
		if err := s.openEngine(); err != nil {
			return err
		}
		if err := s.readQueues(); err != nil {
			return errors.Join(damaged(err), s.db.Close())
		}
		return nil
	})
	if !waits() && err == nil {
		err = errors.Join(ctx.Err(), s.unlessGivenUp(func() error { return s.db.Close() }))
	}
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", s.cfg.Dir, err)
	}
	s.cfg.Disk.Opened()
	s.wg.Go(s.freeDelayed)
	s.wg.Go(s.writeMarks)
	return s, nil
}

// Promise is what the store holds to.
func (s *Store) Promise() store.Promise {
	return store.Promise{Kill: !s.memory, PowerLoss: !s.memory, Atomic: true, Replicas: 1}
}

// State says how full the store is and whether it can be written.
func (s *Store) State() store.State {
	err := s.trouble()
	if err == nil {
		err = s.space.low()
	}
	return store.State{
		Used: s.space.amount(), Size: s.space.size, Reserve: s.space.reserve,
		Err: err, Damage: s.damage.lines(),
	}
}

// Close gives all leases back and ends the store. Pulls that wait end, and
// commits that wait for the disk fail.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stop()
		s.cfg.Disk.Close()
		s.ended = s.unlessGivenUp(s.close)
		if s.broken.Load() != nil {
			s.queues.end() // an engine that has given up does not close
		}
	})
	return s.ended
}

func (s *Store) close() error {
	s.wg.Wait()
	s.closeLine()
	s.queues.end()
	s.reads.Wait()
	err := s.writeReturned()
	if !s.memory {
		// What rots at the end of a log looks as if it had not been written to
		// its end; in a table it is found.
		err = errors.Join(err, s.db.Flush())
	}
	err = errors.Join(err, s.db.Close())
	if s.note != nil {
		err = errors.Join(err, s.note.close())
	}
	return err
}

// InMemory is a store in memory; it always opens.
func InMemory(cfg Config) *Store {
	cfg.Dir, cfg.FS = "", nil
	s, err := Open(context.Background(), cfg)
	if err != nil {
		panic(fmt.Sprintf("a store in memory: %v", err)) // nothing of it can fail
	}
	return s
}
