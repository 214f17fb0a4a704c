package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// heap is how many bytes are in use on the heap.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools gave back
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// descriptors is how many files the process has open; 0 where nothing tells.
func descriptors() int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(files)
}

// A cost compares the memory and the open files of the process with those
// before.
type cost struct {
	heap  int64
	files int
}

func newCost() cost { return cost{heap(), descriptors()} }

// check sees that the process has at most that much more of both.
func (c cost) check(b *bench, what string, bytes int64, files int) {
	b.Helper()
	now := newCost()
	b.Logf("%s: %d KiB more on the heap, %d more files open", what, (now.heap-c.heap)>>10, now.files-c.files)
	if more := now.heap - c.heap; more > bytes {
		b.Errorf("%s: %d KiB more on the heap; expected at most %d", what, more>>10, bytes>>10)
	}
	if more := now.files - c.files; more > files {
		b.Errorf("%s: %d more files are open; expected at most %d", what, more, files)
	}
}

// Queues that are empty again cost nothing, and many that are not cost little.
func testManyQueuesCost(b *bench) {
	const n, batch, files = 10_000, 100, 8
	name := func(i int) store.Queue { return store.Queue(fmt.Sprintf("wait.Type.STATE_%05d", i)) }
	b.append(greet, "the first of all")
	before := newCost()
	count := func(want int) {
		b.Helper()
		start := time.Now()
		counts := b.queues()
		if took := time.Since(start); took > 500*time.Millisecond {
			b.Errorf("with %d queues, Queues took %v; expected at most 0.5 s", want, took)
		}
		if len(counts) != want {
			b.Errorf("%d queues are there; expected %d", len(counts), want)
		}
	}
	for i := 0; i < n; i += batch {
		var tx store.Tx
		for k := range batch {
			tx.Append = append(tx.Append, appendTo(name(i+k), "one frame"))
		}
		b.commit(&tx)
		if i%(n/10) == 0 {
			count(i + batch + 1)
		}
	}
	before.check(b, "10,000 queues with a frame each", 4<<10*n, files)
	if b.kind.Promise.Kill {
		b.open(0, 0)
		count(n + 1)
		before.check(b, "the same, opened again", 4<<10*n, files)
	}
	for i := 0; i < n; i += batch {
		var tx store.Tx
		for k := range batch {
			leases, err := b.store.Pull(b.Context(), name(i+k), 1)
			if err != nil {
				b.Fatal(err)
			}
			tx.Ack = append(tx.Ack, leases...)
		}
		b.commit(&tx)
		if i%(n/10) == 0 {
			count(n - i - batch + 1)
		}
	}
	count(1)
	before.check(b, "10,000 queues, emptied", 10<<20, files)
}

// Pulls and looks of queues that do not exist, and reads of such records, make
// nothing.
func testUnknownCost(b *bench) {
	const n, batch = 25_000, 1000
	name := func(i int) store.Queue { return store.Queue(fmt.Sprintf("in.unknown-%05d", i)) }
	b.append(greet, "the only one")
	before := newCost()
	for i := 0; i < n; i += batch {
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Millisecond)
		var all sync.WaitGroup
		for k := range batch {
			all.Go(func() {
				q := name(i + k)
				if leases, err := b.store.Pull(ctx, q, 1); !errors.Is(err, context.DeadlineExceeded) {
					b.Errorf("pull from %s: %d frames, %v", q, len(leases), err)
				}
				if seen := b.shows(q, "x"); seen {
					b.Errorf("%s shows a frame", q)
				}
				if b.get("unknown", string(q)) != "" {
					b.Errorf("%s is a record", q)
				}
			})
		}
		all.Wait()
		cancel()
	}
	if counts := b.queues(); len(counts) != 1 {
		b.Errorf("%d queues are there; expected 1", len(counts))
	}
	before.check(b, "25,000 pulls and looks of unknown queues", 2<<20, 0)
}
