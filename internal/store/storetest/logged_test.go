package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/memory"
)

// A logged store is one in memory that writes all that it does to a file, and
// does all of it again when it is opened. It is here to see that the suite's
// tests of stores that survive a kill can be passed, and failed.
type logged struct {
	*memory.Store
	defect string // see TestDefects

	mu      sync.Mutex
	file    *os.File
	buffer  *bufio.Writer
	entries int
	number  uint64
	since   map[uint64]time.Time
	leased  map[uint64]int // before it was opened
}

// An entry is one line of the log: an append, a lease or the end of a frame.
type entry struct {
	Place   store.Place
	Append  *store.Frame `json:",omitempty"`
	Since   time.Time
	Leased  uint64 `json:",omitempty"`
	Removed uint64 `json:",omitempty"`
}

func openLogged(ctx context.Context, dir string, size, reserve int64, defect string) (*logged, error) {
	if defect == "no bound" {
		size = 0
	}
	s := &logged{
		Store: memory.New(memory.Config{Size: size, Reserve: reserve}), defect: defect,
		since: map[uint64]time.Time{}, leased: map[uint64]int{},
	}
	var err error
	if s.file, err = os.OpenFile(filepath.Join(dir, "log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	for in := json.NewDecoder(s.file); ; {
		var e entry
		if whole := in.InputOffset(); in.Decode(&e) != nil {
			// The kill may have come within the last entry.
			if err := s.file.Truncate(whole); err != nil {
				return nil, err
			}
			break
		}
		if e.Append != nil {
			if err := s.Store.Append(ctx, e.Place, *e.Append); err != nil {
				return nil, err
			}
			s.number++
			s.since[s.number] = e.Since
		}
		s.leased[e.Leased]++
		if err := s.Store.Remove(ctx, e.Place, e.Removed); err != nil {
			return nil, err
		}
	}
	s.buffer = bufio.NewWriterSize(s.file, 1<<20) // so that late writes are as late as they are meant to be
	return s, nil
}

// write writes an entry; the caller holds the lock.
func (s *logged) write(e entry) error {
	s.entries++
	if err := json.NewEncoder(s.buffer).Encode(e); err != nil {
		return err
	}
	if s.defect == "late writes" && s.entries%100 != 0 {
		return nil
	}
	return s.buffer.Flush()
}

func (s *logged) Append(ctx context.Context, to store.Place, f store.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.defect == "loses" && s.number == 77 {
		s.number++
		return nil
	}
	if err := s.Store.Append(ctx, to, f); err != nil {
		if s.defect == "full without a word" && errors.Is(err, store.ErrFull) {
			return errors.New("no")
		}
		return err
	}
	s.number++
	s.since[s.number] = time.Now()
	return s.write(entry{Place: to, Append: &f, Since: s.since[s.number]})
}

func (s *logged) Pull(ctx context.Context, from store.Place, most int) ([]store.Lease, error) {
	leases, err := s.Store.Pull(ctx, from, most)
	if err != nil {
		return nil, err
	}
	if s.defect == "keeps what comes too late" && len(leases) > 0 {
		defer func() {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			s.Store.Pull(ctx, from, 1) // and forgets the lease
		}()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range leases {
		if err := s.write(entry{Place: from, Leased: l.Number()}); err != nil {
			return nil, err
		}
		leases[i] = &loggedLease{Lease: l, store: s, place: from}
		if s.defect == "leases lapse" {
			time.AfterFunc(store.MaxLapse, func() { l.Release(0) })
		}
	}
	return leases, nil
}

func (s *logged) Places(ctx context.Context) ([]store.Count, error) {
	counts, err := s.Store.Places(ctx)
	for i := range counts {
		err = errors.Join(err, s.Store.Look(ctx, counts[i].Place, 0, func(r store.Resting) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			counts[i].Since = s.since[r.Number]
			return false
		}))
	}
	return counts, err
}

func (s *logged) Remove(ctx context.Context, at store.Place, number uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.Store.Remove(ctx, at, number), s.write(entry{Place: at, Removed: number}))
}

func (s *logged) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffer.Flush()
	s.file.Close() // a second time, it is an error
	return s.Store.Close()
}

type loggedLease struct {
	store.Lease
	store *logged
	place store.Place
	ended sync.Once
}

func (l *loggedLease) Deliveries() int {
	if l.store.defect == "no count" {
		return 1
	}
	return l.store.leased[l.Number()] + l.Lease.Deliveries()
}

func (l *loggedLease) Ack() (err error) {
	l.ended.Do(func() {
		l.store.mu.Lock()
		defer l.store.mu.Unlock()
		if l.store.defect == "comes again" && l.Number()%50 == 0 {
			err = l.Lease.Release(0)
			return
		}
		err = errors.Join(l.Lease.Ack(), l.store.write(entry{Place: l.place, Removed: l.Number()}))
	})
	return err
}

func (l *loggedLease) Release(after time.Duration) (err error) {
	if l.store.defect == "late verdicts count" {
		return l.Lease.Release(after)
	}
	if l.store.defect == "no delay" {
		after = 0
	}
	l.ended.Do(func() { err = l.Lease.Release(after) })
	return err
}
