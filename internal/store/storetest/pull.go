package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// pulled is what a pull in the background returned.
type pulled struct {
	leases []store.Lease
	err    error
	at     time.Time
}

func (b *bench) pullLater(ctx context.Context, from store.Queue, most int) <-chan pulled {
	got := make(chan pulled, 1)
	s := b.store
	go func() {
		leases, err := s.Pull(ctx, from, most)
		got <- pulled{leases, err, time.Now()}
	}()
	return got
}

// A pull waits for a queue that does not exist yet, and returns with the first
// frame, not with as many as it may have.
func testPullWaits(b *bench) {
	for _, queue := range []store.Queue{greet, wait} {
		got := b.pullLater(b.within(long), queue, 10)
		b.nothing(queue, short)
		start := time.Now()
		b.append(queue, "awaited")
		p := <-got
		if p.err != nil || len(p.leases) != 1 || string(p.leases[0].Data()) != "awaited" {
			b.Fatalf("the pull that waited got %d frames, %v", len(p.leases), p.err)
		}
		if took := p.at.Sub(start); took > soon {
			b.Errorf("it got it after %v", took)
		}
		b.ack(p.leases...)
	}
	// Each of several that wait gets one.
	var waiting []<-chan pulled
	for range 3 {
		waiting = append(waiting, b.pullLater(b.within(long), greet, 1))
	}
	b.nothing(greet, short)
	b.append(greet, "a", "b", "c")
	for _, got := range waiting {
		if p := <-got; p.err != nil || len(p.leases) != 1 {
			b.Fatalf("one of three got %d frames, %v", len(p.leases), p.err)
		}
	}
}

// A pull ends with its context, whose error it returns, and leaves what comes
// later to others.
func testPullEnds(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	got := b.pullLater(ctx, greet, 1)
	b.nothing(greet, short)
	cancel()
	if p := <-got; !errors.Is(p.err, context.Canceled) || len(p.leases) > 0 {
		b.Fatalf("the pull ended with %d frames and %v", len(p.leases), p.err)
	}
	start := time.Now()
	b.append(greet, "for another")
	b.pullOne(greet, "for another")
	if took := time.Since(start); took > soon {
		b.Errorf("the other got it after %v", took)
	}
}

// A pull may end at the very moment at which its frame comes: then either it
// returns it, or another gets it.
func testCancelledPulls(b *bench) {
	var all sync.WaitGroup
	for i := range min(b.kind.queues(), 40) {
		all.Go(func() {
			queue := store.Queue(fmt.Sprintf("in.seed%d", i))
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			got := b.pullLater(ctx, queue, 1)
			appended := make(chan error, 1)
			go func() {
				appended <- b.put(queue, store.Frame{Data: []byte(queue), Packets: 1})
			}()
			time.AfterFunc(time.Duration(i)*200*time.Microsecond, cancel)
			p := <-got
			if err := <-appended; err != nil {
				b.Errorf("append: %v", err)
				return
			}
			if p.err != nil {
				// It may have been on its way to the pull that ended.
				p.leases, p.err = b.store.Pull(b.within(store.MaxLapse+soon), queue, 1)
			}
			if p.err != nil || len(p.leases) != 1 || string(p.leases[0].Data()) != string(queue) {
				b.Errorf("round %d: %d frames, %v", i, len(p.leases), p.err)
			}
		})
	}
	all.Wait()
}

// After Close a store does nothing, without harm; pulls that wait end.
func testClose(b *bench) {
	b.append(greet, "a", "b")
	leases := b.pull(greet, "a", "b")
	got := b.pullLater(b.within(long), wait, 1)
	b.nothing(wait, short)
	s := b.store
	b.close()
	if p := <-got; p.err == nil || errors.Is(p.err, context.DeadlineExceeded) {
		b.Errorf("a pull that waited ended with %d frames, %v", len(p.leases), p.err)
	}
	if err := s.Close(); err != nil {
		b.Errorf("the second close: %v", err)
	}
	leases[0].Ack() // what they return is the store's affair
	leases[1].Release(0)
	if err := put(b.within(long), s, greet, store.Frame{Data: []byte("x"), Packets: 1}); !errors.Is(err, store.ErrClosed) {
		b.Errorf("append after close: %v; expected %v", err, store.ErrClosed)
	}
	start := time.Now()
	if leases, err := s.Pull(b.within(long), greet, 1); err == nil || time.Since(start) > soon {
		b.Errorf("pull after close: %d frames, %v, after %v", len(leases), err, time.Since(start))
	}
	if string(leases[0].Data()) != "a" {
		b.Errorf("the data became %q", leases[0].Data())
	}
}
