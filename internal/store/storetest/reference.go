package storetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A reference is a small, slow and plain store: one lock, maps and slices. Stores
// are compared with it, and the suite itself is tested on it. With a log it
// survives a kill: it writes all that it does to a file, and does all of it
// again when it is opened.
type reference struct {
	size, reserve int64
	now           func() time.Time
	defect        string // see TestDefects

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at every change
	closed  bool
	used    int64
	id      uint64 // the last that a frame got
	number  uint64 // the last that a frame got, in any queue
	frames  map[store.Queue][]*refFrame
	records map[store.Key][]byte
	log     *refLog  // nil in memory
	waste   [][]byte // of a defect
}

// A refFrame is delayed as long as it has no number.
type refFrame struct {
	store.Frame
	queue      store.Queue
	id, number uint64
	since      time.Time
	due        time.Time // until when it is delayed, by the clock of the machine
	ready      time.Time // until when it is delayed or was released
	deliveries int
	lease      *refLease
}

// refCost is about what a frame takes beside its data; without it, frames of
// a few bytes would take many times a store's size.
const refCost = 256

// openReference opens a reference; without a folder it is one in memory.
func openReference(o Options, defect string) (*reference, error) {
	s := &reference{
		size: o.Size, reserve: o.Reserve, now: o.Now, defect: defect,
		changed: make(chan struct{}),
		frames:  map[store.Queue][]*refFrame{}, records: map[store.Key][]byte{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if defect == "no bound" {
		s.size = 0
	}
	if o.Dir == "" {
		return s, nil
	}
	var err error
	s.log, err = openLog(filepath.Join(o.Dir, "log"), s.replay)
	if err != nil {
		return nil, err
	}
	return s, s.trustOnce()
}

// trustOnce has no delayed frame wait longer from now on than it was asked to
// when it was stored, whatever the clock was then.
func (s *reference) trustOnce() error {
	now := s.now()
	for _, frames := range s.frames {
		for _, f := range frames {
			if f.number != 0 {
				continue
			}
			left := f.due.Sub(now)
			if left > f.After && s.defect != "trusts the clock" {
				left = f.After
				f.due = now.Add(left)
				if err := s.write(entry{ID: f.id, Due: f.due}); err != nil {
					return err
				}
			}
			f.ready = time.Now().Add(left)
		}
	}
	return nil
}

// Commit does tx as a whole or not at all.
func (s *reference) Commit(ctx context.Context, tx *store.Tx) error {
	if err := tx.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ripen()
	if err := s.refuse(ctx, tx); err != nil {
		return err
	}
	gone, err := s.ends(tx)
	if err != nil {
		return err
	}
	e := entry{Since: s.now(), Append: tx.Append, Put: tx.Put, Delete: tx.Delete, Gone: gone}
	if s.defect == "tears transactions" && len(e.Append) > 1 {
		if err := s.write(entry{Since: e.Since, Append: e.Append[:1]}); err != nil {
			return err
		}
		s.do(entry{Since: e.Since, Append: e.Append[:1]})
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		s.mu.Lock()
		e.Append = e.Append[1:]
	}
	if s.defect == "loses" && s.id == 77 && len(e.Append) > 0 {
		s.id++
		return nil
	}
	if err := s.write(e); err != nil {
		return err
	}
	s.do(e)
	return nil
}

// refuse says why nothing of tx is done. The caller holds the lock.
func (s *reference) refuse(ctx context.Context, tx *store.Tx) error {
	if s.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil && s.defect != "deaf" {
		return err
	}
	used := s.used
	for _, a := range tx.Append {
		used += int64(len(a.Data)) + refCost
		room := s.size
		if a.Rank != store.Root {
			room += s.reserve
		}
		if s.size > 0 && used > room {
			if s.defect == "full without a word" {
				return errors.New("no")
			}
			return fmt.Errorf("append to %s: %w", a.To, store.ErrFull)
		}
	}
	return nil
}

// ends are the ids of the frames that tx ends. The caller holds the lock.
func (s *reference) ends(tx *store.Tx) (gone []uint64, err error) {
	for _, l := range tx.Ack {
		lease, ok := l.(*refLease)
		if !ok || lease.store != s {
			return nil, fmt.Errorf("a lease of another store: %T", l)
		}
		if lease.frame.lease != lease {
			if s.defect == "late acks count" {
				continue
			}
			return nil, store.ErrLapsed
		}
		if s.defect == "comes again" && lease.frame.number%50 == 0 {
			lease.frame.lease = nil
			continue
		}
		gone = append(gone, lease.frame.id)
	}
	for _, r := range tx.Remove {
		for _, f := range s.frames[r.At] {
			if f.number == r.Number && f.number != 0 {
				gone = append(gone, f.id)
			}
		}
	}
	for _, q := range tx.Clear {
		for _, f := range s.frames[q] {
			gone = append(gone, f.id)
		}
	}
	return gone, nil
}

// do does what an entry says. The caller holds the lock.
func (s *reference) do(e entry) {
	for _, a := range e.Append {
		s.id++
		f := &refFrame{Frame: a.Frame, queue: a.To, id: s.id, since: e.Since}
		if a.After > 0 && s.defect != "no delay" {
			f.due = e.Since.Add(a.After)
			f.ready = time.Now().Add(a.After)
		} else {
			s.number++
			f.number = s.number
		}
		s.frames[a.To] = append(s.frames[a.To], f)
		s.used += int64(len(a.Data)) + refCost
	}
	for i, r := range e.Put {
		if i == 2 && s.defect == "loses records" {
			break
		}
		s.records[r.Key] = r.Value
	}
	for _, k := range e.Delete {
		delete(s.records, k)
	}
	for q, frames := range s.frames {
		if len(e.Gone) == 0 {
			break
		}
		s.frames[q] = slices.DeleteFunc(frames, func(f *refFrame) bool {
			if !slices.Contains(e.Gone, f.id) {
				return false
			}
			s.used -= int64(len(f.Data)) + refCost
			f.lease = nil
			return true
		})
		if len(s.frames[q]) == 0 {
			if s.defect == "forgets queues late" {
				s.waste = append(s.waste, make([]byte, 2<<10))
			}
			delete(s.frames, q)
		}
	}
	s.wake()
}

// replay does again what an earlier process did.
func (s *reference) replay(e entry) {
	if e.ID == 0 {
		s.do(e)
		return
	}
	for q, frames := range s.frames {
		i := slices.IndexFunc(frames, func(f *refFrame) bool { return f.id == e.ID })
		if i < 0 {
			continue
		}
		f := frames[i]
		switch {
		case e.Leased:
			f.deliveries++
		case e.Number > 0:
			s.number, f.number, f.ready = e.Number, e.Number, time.Time{}
			s.frames[q] = append(slices.Delete(frames, i, i+1), f)
		default:
			f.due = e.Due
		}
		return
	}
}

// write writes an entry to the log. The caller holds the lock.
func (s *reference) write(e entry) error {
	if s.log == nil {
		return nil
	}
	return s.log.write(e, s.defect == "late writes")
}

// wake has everyone that waits look again. The caller holds the lock.
func (s *reference) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// ripen gives delayed frames whose time has come a number, in the order of
// their times. The caller holds the lock.
func (s *reference) ripen() {
	var ripe []*refFrame
	for _, frames := range s.frames {
		for _, f := range frames {
			if f.number == 0 && !f.ready.After(time.Now()) {
				ripe = append(ripe, f)
			}
		}
	}
	slices.SortFunc(ripe, func(x, y *refFrame) int {
		return cmp.Or(x.due.Compare(y.due), cmp.Compare(x.id, y.id))
	})
	for _, f := range ripe {
		s.number++
		f.number = s.number
		if err := s.write(entry{ID: f.id, Number: f.number}); err != nil {
			panic(err) // a test has no better way to go on
		}
		s.frames[f.queue] = append(slices.DeleteFunc(s.frames[f.queue], func(x *refFrame) bool { return x == f }), f)
	}
}

// Pull leases frames, and waits for the first.
func (s *reference) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	if most < 1 {
		return nil, fmt.Errorf("pull at most %d frames; expected 1 or more", most)
	}
	if err := from.Check(); err != nil {
		return nil, err
	}
	for {
		leases, changed, next, err := s.take(ctx, from, most)
		if err != nil || len(leases) > 0 {
			return leases, err
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take leases frames that are free. If there is none, changed ends when that
// may have changed, which next is the longest it takes.
func (s *reference) take(ctx context.Context, from store.Queue, most int) (leases []store.Lease, changed <-chan struct{}, next time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, 0, store.ErrClosed
	}
	if s.defect == "makes what is asked for" {
		s.waste = append(s.waste, make([]byte, 1<<10))
	}
	if ctx.Err() != nil {
		return nil, nil, 0, ctx.Err()
	}
	s.ripen()
	next = time.Hour
	for i, f := range s.frames[from] {
		wait := time.Until(f.ready)
		if f.lease != nil || f.number == 0 || wait > 0 {
			if wait > 0 {
				next = min(next, wait)
			}
			continue
		}
		if err := s.write(entry{ID: f.id, Leased: true}); err != nil {
			return nil, nil, 0, err
		}
		f.deliveries++
		l := &refLease{store: s, frame: f, deliveries: f.deliveries}
		f.lease = l
		if s.defect == "leases lapse" {
			time.AfterFunc(store.MaxLapse, func() { l.Release(0) })
		}
		if leases = append(leases, l); len(leases) < most {
			continue
		}
		if i+1 < len(s.frames[from]) && s.defect == "keeps what comes too late" {
			next := s.frames[from][i+1]
			next.lease = cmp.Or(next.lease, &refLease{store: s, frame: next})
		}
		break
	}
	return leases, s.changed, next, nil
}

// Queues counts.
func (s *reference) Queues(context.Context) ([]store.Count, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	s.ripen()
	var counts []store.Count
	for _, q := range slices.Sorted(maps.Keys(s.frames)) {
		c := store.Count{Queue: q}
		for _, f := range s.frames[q] {
			if s.defect == "hides delayed frames" && f.number == 0 {
				continue
			}
			c.Frames++
			c.Packets += f.Packets
			c.Bytes += int64(len(f.Data))
			if c.Since.IsZero() || f.since.Before(c.Since) {
				c.Since = f.since
			}
		}
		counts = append(counts, c)
	}
	return counts, nil
}

// Look shows the frames that are there when it is called.
func (s *reference) Look(ctx context.Context, at store.Queue, from uint64, visit func(store.Stored) bool) error {
	if err := at.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	s.ripen()
	var seen, delayed []store.Stored
	for _, f := range s.frames[at] {
		st := store.Stored{Number: f.number, Data: bytes.Clone(f.Data), Since: f.since}
		switch {
		case f.number == 0:
			st.NotBefore = f.due
			delayed = append(delayed, st)
		case f.number >= from:
			seen = append(seen, st)
		}
	}
	s.mu.Unlock()
	slices.SortStableFunc(delayed, func(x, y store.Stored) int { return x.NotBefore.Compare(y.NotBefore) })
	for _, st := range append(seen, delayed...) {
		if !visit(st) {
			break
		}
	}
	return ctx.Err()
}

// Get reads a record.
func (s *reference) Get(_ context.Context, key store.Key) ([]byte, bool, error) {
	if err := key.Check(); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, store.ErrClosed
	}
	value, ok := s.records[key]
	return bytes.Clone(value), ok, nil
}

// Scan shows the records that are there when it is called.
func (s *reference) Scan(ctx context.Context, table store.Table, prefix string, visit func(string, []byte) bool) error {
	if err := table.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	found := map[string][]byte{}
	for key, value := range s.records {
		if key.In == table && strings.HasPrefix(key.Key, prefix) {
			found[key.Key] = bytes.Clone(value)
		}
	}
	s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if !visit(key, found[key]) {
			break
		}
	}
	return ctx.Err()
}

func (s *reference) State() store.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.State{Used: s.used, Size: s.size, Reserve: s.reserve}
}

func (s *reference) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.wake()
	if s.log == nil {
		return nil
	}
	return s.log.close()
}

// A refLease is a lease on a frame of a reference; it has ended when it is not
// the frame's any more.
type refLease struct {
	store      *reference
	frame      *refFrame
	deliveries int
}

func (l *refLease) Data() []byte   { return l.frame.Data }
func (l *refLease) Number() uint64 { return l.frame.number }

func (l *refLease) Deliveries() int {
	if l.store.defect == "no count" {
		return 1
	}
	return l.deliveries
}

func (l *refLease) Ack() error {
	return l.store.Commit(context.Background(), &store.Tx{Ack: []store.Lease{l}})
}

func (l *refLease) Release(after time.Duration) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	if l.frame.lease != l {
		return nil
	}
	l.frame.lease = nil
	if s.defect == "no delay" {
		after = 0
	}
	l.frame.ready = time.Now().Add(after)
	s.wake()
	return nil
}
