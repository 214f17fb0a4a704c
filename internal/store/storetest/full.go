package storetest

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/store"
)

const (
	fullSize    = 1 << 20
	fullReserve = 512 << 10
	fullFrame   = 16 << 10
)

// fill appends until the store is full and returns how many frames it took.
func (b *bench) fill(r store.Rank) int {
	b.Helper()
	for n := 0; n < 10*fullSize/fullFrame; n++ {
		err := b.put(greet, store.Frame{Data: make([]byte, fullFrame), Packets: 1, Rank: r})
		if errors.Is(err, store.ErrFull) {
			return n
		}
		if err != nil {
			b.Fatalf("append %d of rank %d: %v", n, r, err)
		}
	}
	b.Fatal("the store is never full")
	return 0
}

// bounded sees that frames of a rank took the room they may, and no more: what
// the store itself takes may be a quarter.
func (b *bench) bounded(what string, frames int, room int64) {
	b.Helper()
	if bytes := int64(frames) * fullFrame; bytes > room || bytes < room*3/4 {
		b.Errorf("%s: %d bytes in %d frames, with room for %d", what, bytes, frames, room)
	}
}

// Roots are refused at the size, descendants when the reserve is used up; what
// was refused is not there, and what ends makes room.
func testFull(b *bench) {
	b.open(fullSize, fullReserve)
	if s := b.store.State(); s.Size != fullSize || s.Reserve != fullReserve || s.Err != nil || len(s.Damage) > 0 {
		b.Errorf("a new store's state is %+v", s)
	}
	roots := b.fill(store.Root)
	b.bounded("roots", roots, fullSize)
	all := roots + b.fill(store.Descendant)
	b.bounded("with descendants", all, fullSize+fullReserve)
	if more := b.fill(store.Root) + b.fill(store.Descendant); more > 0 {
		b.Errorf("%d frames went into a full store", more)
	}
	if b.kind.Promise.Kill {
		b.open(fullSize, fullReserve) // it is as full as it was
		if more := b.fill(store.Root) + b.fill(store.Descendant); more > 0 {
			b.Errorf("%d frames went into a full store that was opened again", more)
		}
	}
	if s := b.store.State(); s.Used > fullSize+fullReserve || s.Used < int64(all)*fullFrame || s.Err != nil {
		b.Errorf("the state of a full store with %d bytes in frames is %+v", all*fullFrame, s)
	}
	if n := b.frames(); n != all {
		b.Errorf("%d frames are there; %d were taken", n, all)
	}

	// The reserve has to come free first.
	for left := all; left > 0; {
		leases, err := b.store.Pull(b.within(long), greet, 16)
		if err != nil {
			b.Fatal(err)
		}
		b.ack(leases...)
		left -= len(leases)
		if left < roots/2 {
			break
		}
	}
	b.eventually("there is room for a root again", func() bool {
		return b.put(greet, store.Frame{Data: make([]byte, fullFrame), Packets: 1}) == nil
	})
	if s := b.store.State(); s.Used > fullSize {
		b.Errorf("with room for roots, the state is %+v", s)
	}
}

// The bound holds for many that append at once.
func testFullAtOnce(b *bench) {
	b.open(fullSize, fullReserve)
	var took atomic.Int64
	var appenders sync.WaitGroup
	for range 8 {
		appenders.Go(func() {
			for {
				err := b.put(greet, store.Frame{Data: make([]byte, fullFrame), Packets: 1})
				if errors.Is(err, store.ErrFull) {
					return
				}
				if err != nil {
					b.Errorf("append: %v", err)
					return
				}
				took.Add(1)
			}
		})
	}
	appenders.Wait()
	// The last may have been refused for another's sake that was on its way.
	n := int(took.Load()) + b.fill(store.Root)
	b.bounded("roots of 8", n, fullSize)
	if got := b.frames(); got != n {
		b.Errorf("%d frames are there; %d were taken", got, n)
	}
}
