package faulttest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/packet"
)

// senders is how many send at a time.
const senders = 8

// A feed sends packets from many goroutines to a node that comes and goes,
// and knows which of them were acknowledged.
type feed struct {
	seed   uint64
	mu     sync.Mutex
	moved  *sync.Cond // anything below has changed
	client *api.Client
	all    map[packet.ID]sent
	acked  int
	quota  int // no more than about this many are to be acknowledged
	ended  bool
	fault  error // the last refusal by a node that lives
	draw   func(*rand.Rand) api.Sending
}

func newFeed(seed uint64) *feed {
	f := &feed{seed: seed, all: map[packet.ID]sent{}, draw: drawPacket}
	f.moved = sync.NewCond(&f.mu)
	return f
}

// change calls what under the lock and wakes who waits.
func (f *feed) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	f.moved.Broadcast()
}

// until waits for cond, which is called under the lock, and for no longer than
// that; it tells whether cond holds.
func (f *feed) until(within time.Duration, cond func() bool) bool {
	late := false
	defer time.AfterFunc(within, func() { f.change(func() { late = true }) }).Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !cond() && !late {
		f.moved.Wait()
	}
	return cond()
}

// run sends until the feed has ended.
func (f *feed) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for i := range uint64(senders) {
		group.Go(func() { f.send(ctx, rand.New(rand.NewPCG(f.seed, i))) })
	}
}

// send is one sender. What it does not know to be in, it sends again with the
// same id, or gives up, as it draws.
func (f *feed) send(ctx context.Context, r *rand.Rand) {
	var batch []api.Sending
	for {
		client := f.turn()
		if client == nil {
			return
		}
		for n := 1 + r.IntN(10); len(batch) < n; {
			batch = append(batch, f.draw(r))
		}
		f.change(func() {
			for _, p := range batch {
				f.all[p.ID] = sent{acked: f.all[p.ID].acked}
			}
		})
		rest := batch // Send may ask on for a moment after it has returned an error
		taken, err := client.SendMany(ctx, func() (api.Sending, error) {
			if len(rest) == 0 {
				return api.Sending{}, io.EOF
			}
			p := rest[0]
			rest = rest[1:]
			return p, nil
		})
		f.change(func() {
			for _, p := range batch[:taken] {
				f.all[p.ID] = sent{acked: true}
			}
			f.acked += taken
			if f.client == client {
				f.fault = err
			}
		})
		batch = batch[taken:]
		if r.IntN(2) == 0 {
			batch = nil
		}
		var refused *api.Problem
		if err != nil && !errors.As(err, &refused) {
			f.until(100*time.Millisecond, func() bool { return f.client != client || f.ended })
		} else if err != nil {
			f.until(20*time.Millisecond, func() bool { return f.ended })
		}
	}
}

// turn waits until there is a node and packets may be sent to it; nil means
// that the feed has ended.
func (f *feed) turn() *api.Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended && (f.client == nil || f.acked >= f.quota) {
		f.moved.Wait()
	}
	if f.ended {
		return nil
	}
	return f.client
}

// drawPacket draws a packet: half of them go through Go alone, half through
// Python too.
func drawPacket(r *rand.Rand) api.Sending {
	id := drawID(r)
	state := packet.State("String:RAW")
	if r.IntN(2) == 0 {
		state = "String:NEW"
	}
	return api.Sending{ID: id, State: state, Data: []byte(dataOf(id))}
}

func drawID(r *rand.Rand) packet.ID { return packet.ID{Hi: r.Uint64(), Lo: r.Uint64()} }
