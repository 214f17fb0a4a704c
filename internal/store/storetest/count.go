package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Queues counts to the byte, whether leased or not.
func testQueues(b *bench) {
	if got := b.queues(); len(got) != 0 {
		b.Fatalf("a new store has %+v", got)
	}
	put := func(to store.Queue, bytes, packets int) (before, after time.Time) {
		before = time.Now()
		if err := b.put(to, store.Frame{Data: make([]byte, bytes), Packets: packets}); err != nil {
			b.Fatal(err)
		}
		return before, time.Now()
	}
	before, after := put(wait, 100, 7)
	put(greet, 10, 1)
	put(wait, 50, 3)
	lastBefore, lastAfter := put(wait, 1, 256)
	check := func(want ...store.Count) {
		b.Helper()
		got := b.queues()
		for i := range got {
			got[i].Since = time.Time{}
		}
		if !slices.Equal(got, want) {
			b.Errorf("queues are %+v; expected %+v", got, want)
		}
	}
	since := func(queue store.Queue, from, to time.Time) {
		b.Helper()
		for _, c := range b.queues() {
			if c.Queue == queue && (c.Since.Before(from.Round(0).Add(-time.Millisecond)) || c.Since.After(to.Round(0).Add(time.Millisecond))) {
				b.Errorf("%s has frames since %v; expected %v to %v", queue, c.Since, from, to)
			}
		}
	}
	first, second := store.Count{Queue: greet, Frames: 1, Packets: 1, Bytes: 10}, store.Count{Queue: wait, Frames: 3, Packets: 266, Bytes: 151}
	check(first, second)
	since(wait, before, after)

	leases, err := b.store.Pull(b.within(long), wait, 2)
	for err == nil && len(leases) < 2 {
		var more []store.Lease
		more, err = b.store.Pull(b.within(long), wait, 2-len(leases))
		leases = append(leases, more...)
	}
	if err != nil {
		b.Fatal(err)
	}
	check(first, second)
	since(wait, before, after)
	b.ack(leases...)
	b.eventually("two frames are gone", func() bool { return b.frames() == 2 })
	check(first, store.Count{Queue: wait, Frames: 1, Packets: 256, Bytes: 1})
	since(wait, lastBefore, lastAfter)
}

// Queues do not get into each other's way.
func testManyQueues(b *bench) {
	var queues []store.Queue
	for i := range b.kind.queues() / 2 {
		queues = append(queues, store.Queue(fmt.Sprintf("in.seed-%02d", i)), store.Queue(fmt.Sprintf("wait.Type_%02d.NAME", i)))
	}
	for _, i := range rand.Perm(len(queues)) {
		b.append(queues[i], "1 "+string(queues[i]), "2 "+string(queues[i]))
	}
	slices.Sort(queues)
	var got []store.Queue
	for _, c := range b.queues() {
		got = append(got, c.Queue)
		if c.Frames != 2 {
			b.Errorf("%s has %d frames; expected 2", c.Queue, c.Frames)
		}
	}
	if !slices.Equal(got, queues) {
		b.Errorf("queues are %q; expected %q", got, queues)
	}
	for _, queue := range queues {
		b.ack(b.pull(queue, "1 "+string(queue), "2 "+string(queue))...)
	}
	b.empty()
}

// Look shows all frames and leases none.
func testLook(b *bench) {
	look := func(at store.Queue, most int) (seen []store.Stored) {
		b.Helper()
		err := b.store.Look(b.within(long), at, 0, func(r store.Stored) bool {
			seen = append(seen, r)
			return len(seen) < most
		})
		if err != nil {
			b.Fatalf("look at %s: %v", at, err)
		}
		return seen
	}
	if seen := look(greet, 10); len(seen) != 0 {
		b.Fatalf("a queue that does not exist shows %d frames", len(seen))
	}
	data := series("look", 20)
	start := time.Now().Add(-time.Millisecond)
	b.append(greet, data...)
	leases := b.pull(greet, data[:5]...)
	seen := look(greet, 100)
	if len(seen) != len(data) {
		b.Fatalf("%d frames are shown; expected %d", len(seen), len(data))
	}
	for i, r := range seen {
		if string(r.Data) != data[i] || r.Since.Before(start.Round(0)) || r.Since.After(time.Now().Add(time.Millisecond)) || i > 0 && r.Number <= seen[i-1].Number {
			b.Errorf("frame %d is shown as %+v", i, r)
		}
		if i < len(leases) && r.Number != leases[i].Number() {
			b.Errorf("frame %d is shown as number %d, and is leased as %d", i, r.Number, leases[i].Number())
		}
		clear(r.Data) // it is the caller's
	}
	if seen := look(greet, 3); len(seen) != 3 {
		b.Errorf("%d frames were shown to who wanted 3", len(seen))
	}
	var later []string
	err := b.store.Look(b.within(long), greet, seen[7].Number, func(r store.Stored) bool {
		later = append(later, string(r.Data))
		return true
	})
	if err != nil || !slices.Equal(later, data[7:]) {
		b.Errorf("from the eighth on are shown %s, %v", brief(later...), err)
	}
	more := b.pull(greet, data[5:]...)
	for _, l := range more {
		b.deliveries(l, 1)
	}
	// Who looks may use the store.
	err = b.store.Look(b.within(long), greet, 0, func(r store.Stored) bool {
		if err := b.remove(greet, r.Number); err != nil {
			b.Errorf("remove while looking: %v", err)
		}
		return true
	})
	if err != nil {
		b.Fatal(err)
	}
	b.empty()
}

// Remove takes out any frame, and nothing else.
func testRemove(b *bench) {
	b.append(greet, "a", "b", "c", "d")
	leases := b.pull(greet, "a", "b")
	var numbers []uint64
	if err := b.store.Look(b.within(long), greet, 0, func(r store.Stored) bool { numbers = append(numbers, r.Number); return true }); err != nil {
		b.Fatal(err)
	}
	if len(numbers) != 4 {
		b.Fatalf("%d frames are shown; expected 4", len(numbers))
	}
	for _, number := range []uint64{numbers[0], numbers[2], numbers[2], numbers[3] + 1000} {
		if err := b.remove(greet, number); err != nil {
			b.Errorf("remove %d: %v", number, err)
		}
	}
	if err := b.remove("in.nobody", 1); err != nil {
		b.Errorf("remove from a queue that does not exist: %v", err)
	}
	if n := b.frames(); n != 2 {
		b.Errorf("%d frames are left; expected 2", n)
	}
	leases[0].Release(0) // it is gone, whatever its holder wants
	leases[0].Ack()
	if string(leases[0].Data()) != "a" {
		b.Errorf("the data became %q", leases[0].Data())
	}
	b.ack(b.pullOne(greet, "d"))
	b.nothing(greet, short)
	b.ack(leases[1])
	b.empty()
}

// What is no frame or no queue is refused and leaves nothing behind.
func testRefused(b *bench) {
	for name, f := range map[string]store.Frame{
		"no data":           {Packets: 1},
		"no packets":        {Data: []byte("x")},
		"too many packets":  {Data: []byte("x"), Packets: store.MaxPackets + 1},
		"negative packets":  {Data: []byte("x"), Packets: -1},
		"a byte over bound": {Data: make([]byte, store.MaxFrame+1), Packets: 1},
	} {
		if err := b.put(greet, f); err == nil {
			b.Errorf("%s: no error", name)
		}
	}
	for _, queue := range []store.Queue{"", "greet", "in.", "in.*", "in.>", "in.a.b", "in.a b", "in.../x", "wait.A", "wait.A.", "wait.A.B.C", "out.a", "ledger.x", "note.a.b", store.Queue("in." + strings.Repeat("x", 97))} {
		if err := b.put(queue, store.Frame{Data: []byte("x"), Packets: 1}); err == nil {
			b.Errorf("queue %q: no error", queue)
		}
	}
	if got := b.queues(); len(got) != 0 {
		b.Errorf("left behind: %+v", got)
	}
}

// Data are any bytes, up to the bound.
func testData(b *bench) {
	largest := make([]byte, store.MaxFrame)
	for i := range largest {
		largest[i] = byte(i * i >> 8)
	}
	name := store.Queue("in." + strings.Repeat("x", 96))
	for _, data := range [][]byte{largest, {0}, []byte("\r\n\x00\xff")} {
		if err := b.put(name, store.Frame{Data: data, Packets: store.MaxPackets}); err != nil {
			b.Fatal(err)
		}
		l := b.pullOne(name, string(data))
		b.release(l, 0)
		b.ack(b.pullOne(name, string(data)))
	}
	b.empty()
}

// Clear ends a whole queue, and only that.
func testClear(b *bench) {
	b.append(greet, "a", "b", "c")
	b.append("in.other", "d")
	if err := b.clear(greet); err != nil {
		b.Fatal(err)
	}
	if err := b.clear("in.nobody"); err != nil {
		b.Errorf("to clear a queue that does not exist: %v", err)
	}
	err := b.store.Look(b.within(long), greet, 0, func(r store.Stored) bool {
		b.Errorf("frame %d is still there", r.Number)
		return true
	})
	if err != nil {
		b.Error(err)
	}
	b.append(greet, "e")
	b.ack(b.pullOne(greet, "e"))
	b.ack(b.pullOne("in.other", "d"))
	b.empty()
}
