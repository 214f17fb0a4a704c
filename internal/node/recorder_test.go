package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A recorder is a store that keeps count of what lies in the one it wraps,
// packet by packet, and asks at every end of a frame whether it was due. It can
// also die, and come back with what it held at that moment.
type recorder struct {
	store.Store

	// due says what is wrong with the end of a frame that held ps; "" is
	// nothing. It is called with the recorder locked, after the frame was
	// taken off the count.
	due func(at store.Queue, ps []packet.Packet) string
	// refuse, unless nil, is asked before every append.
	refuse func(to store.Queue, f store.Frame) error
	// hurry makes frames that had to be given up come again at once.
	hurry bool

	mu       sync.Mutex
	changed  *sync.Cond
	lies     map[spot]int
	frames   map[string]bool // place and data of what was ever appended
	ever     map[once]int    // how often it was ever appended
	commits  int
	last     int // the store dies after so many commits; 0 is never
	appended int
	ended    int
	released int
	wrong    []string
	dead     bool
	leased   map[*recorded]bool
}

// A spot is one packet in one place.
type spot struct {
	place store.Queue
	id    packet.ID
}

// A once is an append that is to be made once.
type once struct {
	spot
	attempt int32
}

func newRecorder(inner store.Store) *recorder {
	r := &recorder{
		Store: inner, lies: map[spot]int{}, frames: map[string]bool{}, leased: map[*recorded]bool{}, ever: map[once]int{},
		due: func(store.Queue, []packet.Packet) string { return "" },
	}
	r.changed = sync.NewCond(&r.mu)
	return r
}

var errDead = errors.New("the process is dead")

func (r *recorder) alive() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return errDead
	}
	return nil
}

// Commit records what the transaction does, and what it ends.
func (r *recorder) Commit(ctx context.Context, tx *store.Tx) error {
	if err := r.alive(); err != nil {
		return err
	}
	packets := make([][]packet.Packet, len(tx.Append))
	for i := range tx.Append {
		a := &tx.Append[i]
		if r.refuse != nil {
			if err := r.refuse(a.To, a.Frame); err != nil {
				return err
			}
		}
		_, ps, err := packet.ParseFrame(a.Data)
		if err != nil {
			return err
		}
		if len(ps) != a.Packets {
			return fmt.Errorf("a frame of %d packets says that it has %d", len(ps), a.Packets)
		}
		packets[i] = ps
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return errDead
	}
	inner := *tx
	inner.Ack = nil
	for _, l := range tx.Ack {
		mine := l.(*recorded)
		if !r.leased[mine] {
			return store.ErrLapsed
		}
		inner.Ack = append(inner.Ack, mine.Lease)
	}
	removed := make([][]byte, len(tx.Remove))
	for i, ref := range tx.Remove {
		err := r.Store.Look(ctx, ref.At, ref.Number, func(f store.Stored) bool {
			if f.Number == ref.Number {
				removed[i] = f.Data
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	if err := r.Store.Commit(ctx, &inner); err != nil {
		return err
	}
	if r.commits++; r.commits == r.last {
		defer func() { r.dead = true }() // with the lock still held
	}
	for i := range tx.Append {
		a := &tx.Append[i]
		r.appended++
		r.frames[string(a.To)+string(a.Data)] = true
		for j := range packets[i] {
			p := &packets[i][j]
			r.lies[spot{a.To, p.ID}]++
			r.ever[once{spot{a.To, p.ID}, p.Attempt}]++
		}
	}
	for _, l := range tx.Ack {
		mine := l.(*recorded)
		delete(r.leased, mine)
		r.end(mine.place, mine.Data())
	}
	for i, ref := range tx.Remove {
		if removed[i] != nil {
			r.end(ref.At, removed[i])
		}
	}
	r.changed.Broadcast()
	return nil
}

// Pull waits for the record of what it pulled, which is made after the append.
func (r *recorder) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	if err := r.alive(); err != nil {
		return nil, err
	}
	leases, err := r.Store.Pull(ctx, from, most)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, l := range leases {
		for !r.frames[string(from)+string(l.Data())] {
			r.changed.Wait()
		}
		mine := &recorded{Lease: l, rec: r, place: from}
		r.leased[mine] = true
		leases[i] = mine
	}
	return leases, err
}

// end takes a frame off the count. The caller holds the lock.
func (r *recorder) end(at store.Queue, data []byte) {
	_, ps, err := packet.ParseFrame(data)
	if err != nil {
		return // set aside
	}
	r.ended++
	for i := range ps {
		r.lies[spot{at, ps[i].ID}]--
	}
	if why := r.due(at, ps); why != "" && len(r.wrong) < 5 {
		r.wrong = append(r.wrong, why)
	}
}

// kill cuts everybody off who uses the store.
func (r *recorder) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
}

// revive gives back what the dead one had leased.
func (r *recorder) revive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = false
	for l := range r.leased {
		l.Lease.Release(0)
	}
	clear(r.leased)
}

// complaints are what was found wrong so far.
func (r *recorder) complaints() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrong
}

// A recorded is a lease of a recorder.
type recorded struct {
	store.Lease
	rec   *recorder
	place store.Queue
}

func (l *recorded) Ack() error {
	return l.rec.Commit(context.Background(), &store.Tx{Ack: []store.Lease{l}})
}

func (l *recorded) Release(after time.Duration) error {
	r := l.rec
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || !r.leased[l] {
		return errDead
	}
	delete(r.leased, l)
	r.released++
	if r.hurry && after == releaseDelay {
		after /= 200
	}
	return l.Lease.Release(after)
}
