package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

func frame(data string) store.Frame { return store.Frame{Data: []byte(data), Packets: 1} }

func appendTo(to store.Queue, data string) store.Append {
	return store.Append{To: to, Frame: frame(data)}
}

func record(in store.Table, key, value string) store.Record {
	return store.Record{Key: store.Key{In: in, Key: key}, Value: []byte(value)}
}

// get is the record under a key; "" if there is none.
func (b *bench) get(in store.Table, key string) string {
	b.Helper()
	value, ok, err := b.store.Get(b.Context(), store.Key{In: in, Key: key})
	if err != nil {
		b.Errorf("get %q of %s: %v", key, in, err)
	}
	if ok && len(value) == 0 {
		b.Errorf("the record %q of %s is empty", key, in)
	}
	return string(value)
}

// shows tells whether a queue shows such a frame.
func (b *bench) shows(at store.Queue, data string) (found bool) {
	b.Helper()
	err := b.store.Look(b.Context(), at, 0, func(s store.Stored) bool {
		found = string(s.Data) == data
		return !found
	})
	if err != nil {
		b.Errorf("look at %s: %v", at, err)
	}
	return found
}

// A transaction does everything that it says.
func testTransaction(b *bench) {
	b.commit(&store.Tx{
		Append: []store.Append{appendTo(greet, "a"), appendTo(wait, "b"), appendTo(greet, "c"), appendTo("in.other", "d")},
		Put:    []store.Record{record("done", "one", "1"), record("done", "two", "2"), record("seen", "one", "3")},
	})
	leases := b.pull(greet, "a", "c")
	b.append("in.more", "e", "f")
	var number uint64
	if err := b.store.Look(b.Context(), wait, 0, func(s store.Stored) bool { number = s.Number; return false }); err != nil {
		b.Fatal(err)
	}
	b.commit(&store.Tx{
		Append:  []store.Append{appendTo("in.last", "g")},
		Put:     []store.Record{record("done", "two", "22")},
		Delete:  []store.Key{{In: "done", Key: "one"}, {In: "done", Key: "none"}},
		Ack:     leases,
		Remove:  []store.Ref{{At: wait, Number: number}, {At: wait, Number: number + 1000}},
		Clear:   []store.Queue{"in.more", "in.none"},
		Durable: true,
	})
	b.eventually("the frames that were acknowledged, removed and cleared are gone", func() bool { return b.frames() == 2 })
	if one, two, seen := b.get("done", "one"), b.get("done", "two"), b.get("seen", "one"); one != "" || two != "22" || seen != "3" {
		b.Errorf("the records are %q, %q and %q", one, two, seen)
	}
	b.ack(b.pullOne("in.last", "g"))
	b.ack(b.pullOne("in.other", "d"))
	b.commit(&store.Tx{}) // nothing to do is no error
	b.empty()
}

// Whoever sees one part of a transaction sees all of it.
func testWhole(b *bench) {
	const rounds = 300
	queues := []store.Queue{greet, wait, "in.third"}
	check := func(i int, what string) {
		name := strconv.Itoa(i)
		for _, q := range queues {
			if !b.shows(q, name) {
				b.Errorf("%s of transaction %d was there, and its frame in %s was not", what, i, q)
			}
		}
		for _, table := range []store.Table{"a", "b"} {
			if b.get(table, name) != name {
				b.Errorf("%s of transaction %d was there, and its record in %s was not", what, i, table)
			}
		}
	}
	var last, taken sync.WaitGroup
	done := make(chan struct{})
	for _, q := range queues {
		last.Go(func() { // sees the newest frame of its queue, then all else
			newest := -1
			for newest < rounds-1 && !b.Failed() {
				seen := newest
				err := b.store.Look(b.Context(), q, 0, func(s store.Stored) bool {
					seen, _ = strconv.Atoi(string(s.Data))
					return true
				})
				if err != nil {
					b.Errorf("look: %v", err)
					return
				}
				if seen > newest {
					newest = seen
					check(newest, "the frame in "+string(q))
				}
			}
		})
	}
	taken.Go(func() { // counts all queues at once
		for {
			counts := b.queues()
			for i := range counts {
				if len(counts) != len(queues) || counts[i].Frames != counts[0].Frames {
					b.Errorf("in the middle of transactions that append to each, the queues are %+v", counts)
					return
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range rounds {
		name := strconv.Itoa(i)
		tx := store.Tx{Put: []store.Record{record("a", name, name), record("b", name, name)}, Durable: i%20 == 0}
		for _, q := range queues {
			tx.Append = append(tx.Append, appendTo(q, name))
		}
		b.commit(&tx)
	}
	last.Wait()
	close(done)
	taken.Wait()
	b.taken(queues, rounds)
}

// taken pulls from the first queue and takes what belongs to each frame out of
// the others.
func (b *bench) taken(queues []store.Queue, rounds int) {
	for n := 0; n < rounds && !b.Failed(); {
		leases, err := b.store.Pull(b.within(long), queues[0], 7)
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range leases {
			n++
			name := string(l.Data())
			tx := store.Tx{Ack: []store.Lease{l}, Delete: []store.Key{{In: "a", Key: name}, {In: "b", Key: name}}}
			for _, q := range queues[1:] {
				others, err := b.store.Pull(b.within(long), q, 1)
				if err != nil || string(others[0].Data()) != name {
					b.Fatalf("frame %s of %s: %d frames, %v", name, q, len(others), err)
				}
				tx.Ack = append(tx.Ack, others...)
			}
			b.commit(&tx)
			if b.get("a", name) != "" || b.get("b", name) != "" {
				b.Errorf("records of transaction %s are left", name)
			}
		}
	}
	b.empty()
}

// untouched does a transaction that is refused and sees that nothing of it was
// done; held is a lease that it acknowledges among others.
func (b *bench) untouched(ctx context.Context, tx store.Tx, want error, held store.Lease) {
	b.Helper()
	b.commit(&store.Tx{Put: []store.Record{record("refused", "put", "before"), record("refused", "delete", "before")}})
	b.append("in.cleared", "to clear")
	before := b.queues()
	tx.Append = append([]store.Append{appendTo("in.refused", "first")}, tx.Append...)
	tx.Append = append(tx.Append, appendTo(wait, "last"))
	tx.Put = []store.Record{record("refused", "put", "after"), record("refused", "new", "after")}
	tx.Delete = []store.Key{{In: "refused", Key: "delete"}}
	tx.Ack = append([]store.Lease{held}, tx.Ack...)
	tx.Clear = []store.Queue{"in.cleared"}
	if err := b.store.Commit(ctx, &tx); !errors.Is(err, want) {
		b.Errorf("the commit gave %v; expected %v", err, want)
	}
	if after := b.queues(); fmt.Sprint(before) != fmt.Sprint(after) {
		b.Errorf("the queues were %+v and are %+v", before, after)
	}
	if put, deleted, fresh := b.get("refused", "put"), b.get("refused", "delete"), b.get("refused", "new"); put != "before" || deleted != "before" || fresh != "" {
		b.Errorf("the records are %q, %q and %q", put, deleted, fresh)
	}
	b.commit(&store.Tx{Clear: []store.Queue{"in.cleared"}})
	b.ack(held)
}

// A lease that has ended refuses the whole transaction that acknowledges it.
func testLapsed(b *bench) {
	end := func(l store.Lease, how func(store.Lease)) {
		b.Helper()
		b.append(greet, "held")
		held := b.pullOne(greet, "held")
		how(l)
		b.untouched(b.within(long), store.Tx{Ack: []store.Lease{l}}, store.ErrLapsed, held)
		if err := l.Ack(); !errors.Is(err, store.ErrLapsed) {
			b.Errorf("an acknowledgement under the lease that has ended gave %v; expected %v", err, store.ErrLapsed)
		}
	}
	b.append(greet, "acknowledged", "released")
	leases := b.pull(greet, "acknowledged", "released")
	end(leases[0], func(l store.Lease) { b.ack(l) })
	end(leases[1], func(l store.Lease) { b.release(l, time.Hour) })
	if !b.kind.Promise.Atomic {
		return // it learns of a removed frame when it acknowledges it
	}
	b.append(greet, "removed")
	end(b.pullOne(greet, "removed"), func(l store.Lease) {
		if err := b.remove(greet, l.Number()); err != nil {
			b.Error(err)
		}
	})
	if b.kind.Promise.Kill {
		b.append(wait, "of before")
		l := b.pullOne(wait, "of before")
		b.open(0, 0)
		if err := b.store.Commit(b.within(long), &store.Tx{Ack: []store.Lease{l}}); err == nil {
			b.Error("a lease of before the store was opened could be acknowledged")
		}
		b.pullOne(wait, "of before")
	}
}

// A frame that there is no room for refuses its whole transaction.
func testFullTransaction(b *bench) {
	b.open(fullSize, fullReserve)
	b.append(greet, "held")
	held := b.pullOne(greet, "held")
	var tx store.Tx
	for range (fullSize+fullReserve)/fullFrame + 1 {
		tx.Append = append(tx.Append, store.Append{To: greet, Frame: store.Frame{Data: make([]byte, fullFrame), Packets: 1, Rank: store.Descendant}})
	}
	used := b.store.State().Used
	b.untouched(b.within(long), tx, store.ErrFull, held)
	b.eventually("nothing is used by what was refused", func() bool { return b.store.State().Used <= used })
	b.append(greet, "there is room")
}

// A commit whose context has ended did nothing; one whose context ends meanwhile
// says what it did.
func testEnded(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	b.append(greet, "held")
	b.untouched(ctx, store.Tx{Durable: true}, context.Canceled, b.pullOne(greet, "held"))

	var mu sync.Mutex
	done, refused := map[string]bool{}, map[string]bool{}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range b.kind.queues() {
				name := fmt.Sprintf("%d-%d", i, n)
				ctx, cancel := context.WithCancel(b.Context())
				time.AfterFunc(time.Duration(rand.IntN(1000))*time.Microsecond, cancel)
				err := b.store.Commit(ctx, &store.Tx{
					Append: []store.Append{appendTo(greet, name)}, Put: []store.Record{record("ended", name, name)}, Durable: true,
				})
				cancel()
				mu.Lock()
				switch {
				case err == nil:
					done[name] = true
				case errors.Is(err, context.Canceled):
					refused[name] = true
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	stored := map[string]bool{}
	if err := b.store.Look(b.within(long), greet, 0, func(s store.Stored) bool { stored[string(s.Data)] = true; return true }); err != nil {
		b.Fatal(err)
	}
	for name := range done {
		if !stored[name] || b.get("ended", name) != name {
			b.Errorf("%s was committed and is not there", name)
		}
	}
	for name := range refused {
		if stored[name] || b.get("ended", name) != "" {
			b.Errorf("%s was refused as its context had ended, and is there", name)
		}
	}
	b.Logf("%d committed, %d ended before", len(done), len(refused))
}
