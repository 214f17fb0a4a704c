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
	due func(at store.Place, ps []packet.Packet) string
	// refuse, unless nil, is asked before every append.
	refuse func(to store.Place, f store.Frame) error
	// hurry makes frames that had to be given up come again at once.
	hurry bool

	mu       sync.Mutex
	changed  *sync.Cond
	lies     map[spot]int
	frames   map[string]bool // place and data of what was ever appended
	appended int
	ended    int
	released int
	wrong    []string
	dead     bool
	leased   map[*recorded]bool
}

// A spot is one packet in one place.
type spot struct {
	place store.Place
	id    packet.ID
}

func newRecorder(inner store.Store) *recorder {
	r := &recorder{
		Store: inner, lies: map[spot]int{}, frames: map[string]bool{}, leased: map[*recorded]bool{},
		due: func(store.Place, []packet.Packet) string { return "" },
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

func (r *recorder) Append(ctx context.Context, to store.Place, f store.Frame) error {
	if err := r.alive(); err != nil {
		return err
	}
	if r.refuse != nil {
		if err := r.refuse(to, f); err != nil {
			return err
		}
	}
	_, ps, err := packet.ParseFrame(f.Data)
	if err != nil {
		return err
	}
	if len(ps) != f.Packets {
		return fmt.Errorf("a frame of %d packets says that it has %d", len(ps), f.Packets)
	}
	if err := r.Store.Append(ctx, to, f); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.appended++
	r.frames[string(to)+string(f.Data)] = true
	for i := range ps {
		r.lies[spot{to, ps[i].ID}]++
	}
	r.changed.Broadcast()
	return nil
}

// Pull waits for the record of what it pulled, which is made after the append.
func (r *recorder) Pull(ctx context.Context, from store.Place, most int) ([]store.Lease, error) {
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

func (r *recorder) Remove(ctx context.Context, at store.Place, number uint64) error {
	if err := r.alive(); err != nil {
		return err
	}
	var data []byte
	err := r.Store.Look(ctx, at, number, func(f store.Resting) bool {
		if f.Number == number {
			data = f.Data
		}
		return false
	})
	if err == nil {
		err = r.Store.Remove(ctx, at, number)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && data != nil {
		r.end(at, data)
	}
	return err
}

// end takes a frame off the count. The caller holds the lock.
func (r *recorder) end(at store.Place, data []byte) {
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
	place store.Place
}

func (l *recorded) Ack() error {
	r := l.rec
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || !r.leased[l] {
		return errDead
	}
	delete(r.leased, l)
	r.end(l.place, l.Data())
	return l.Lease.Ack()
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
	if r.hurry && after == giveUpDelay {
		after /= 200
	}
	return l.Lease.Release(after)
}
