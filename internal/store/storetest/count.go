package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Places counts to the byte, whether leased or not.
func testPlaces(b *bench) {
	if got := b.places(); len(got) != 0 {
		b.Fatalf("a new store has %+v", got)
	}
	put := func(to store.Place, bytes, packets int) (before, after time.Time) {
		before = time.Now()
		if err := b.store.Append(b.within(long), to, store.Frame{Data: make([]byte, bytes), Packets: packets}); err != nil {
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
		got := b.places()
		for i := range got {
			got[i].Since = time.Time{}
		}
		if !slices.Equal(got, want) {
			b.Errorf("places are %+v; expected %+v", got, want)
		}
	}
	since := func(place store.Place, from, to time.Time) {
		b.Helper()
		for _, c := range b.places() {
			if c.Place == place && (c.Since.Before(from.Round(0).Add(-time.Millisecond)) || c.Since.After(to.Round(0).Add(time.Millisecond))) {
				b.Errorf("%s has frames since %v; expected %v to %v", place, c.Since, from, to)
			}
		}
	}
	first, second := store.Count{Place: greet, Frames: 1, Packets: 1, Bytes: 10}, store.Count{Place: wait, Frames: 3, Packets: 266, Bytes: 151}
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
	check(first, store.Count{Place: wait, Frames: 1, Packets: 256, Bytes: 1})
	since(wait, lastBefore, lastAfter)
}

// Places do not get into each other's way.
func testManyPlaces(b *bench) {
	var places []store.Place
	for i := range b.kind.places() / 2 {
		places = append(places, store.Place(fmt.Sprintf("in.seed-%02d", i)), store.Place(fmt.Sprintf("wait.Type_%02d.NAME", i)))
	}
	for _, i := range rand.Perm(len(places)) {
		b.append(places[i], "1 "+string(places[i]), "2 "+string(places[i]))
	}
	slices.Sort(places)
	var got []store.Place
	for _, c := range b.places() {
		got = append(got, c.Place)
		if c.Frames != 2 {
			b.Errorf("%s has %d frames; expected 2", c.Place, c.Frames)
		}
	}
	if !slices.Equal(got, places) {
		b.Errorf("places are %q; expected %q", got, places)
	}
	for _, place := range places {
		b.ack(b.pull(place, "1 "+string(place), "2 "+string(place))...)
	}
	b.empty()
}

// Look shows all frames and leases none.
func testLook(b *bench) {
	look := func(at store.Place, most int) (seen []store.Resting) {
		b.Helper()
		err := b.store.Look(b.within(long), at, 0, func(r store.Resting) bool {
			seen = append(seen, r)
			return len(seen) < most
		})
		if err != nil {
			b.Fatalf("look at %s: %v", at, err)
		}
		return seen
	}
	if seen := look(greet, 10); len(seen) != 0 {
		b.Fatalf("a place that does not exist shows %d frames", len(seen))
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
	err := b.store.Look(b.within(long), greet, seen[7].Number, func(r store.Resting) bool {
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
	err = b.store.Look(b.within(long), greet, 0, func(r store.Resting) bool {
		if err := b.store.Remove(b.within(long), greet, r.Number); err != nil {
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
	if err := b.store.Look(b.within(long), greet, 0, func(r store.Resting) bool { numbers = append(numbers, r.Number); return true }); err != nil {
		b.Fatal(err)
	}
	if len(numbers) != 4 {
		b.Fatalf("%d frames are shown; expected 4", len(numbers))
	}
	for _, number := range []uint64{numbers[0], numbers[2], numbers[2], numbers[3] + 1000} {
		if err := b.store.Remove(b.within(long), greet, number); err != nil {
			b.Errorf("remove %d: %v", number, err)
		}
	}
	if err := b.store.Remove(b.within(long), "in.nobody", 1); err != nil {
		b.Errorf("remove from a place that does not exist: %v", err)
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

// What is no frame or no place is refused and leaves nothing behind.
func testRefused(b *bench) {
	for name, f := range map[string]store.Frame{
		"no data":           {Packets: 1},
		"no packets":        {Data: []byte("x")},
		"too many packets":  {Data: []byte("x"), Packets: store.MaxPackets + 1},
		"negative packets":  {Data: []byte("x"), Packets: -1},
		"a byte over bound": {Data: make([]byte, store.MaxFrame+1), Packets: 1},
	} {
		if err := b.store.Append(b.within(long), greet, f); err == nil {
			b.Errorf("%s: no error", name)
		}
	}
	for _, place := range []store.Place{"", "greet", "in.", "in.*", "in.>", "in.a.b", "in.a b", "in.../x", "wait.A", "wait.A.", "wait.A.B.C", "out.a", "ledger.x", "note.", "note.a", "note.a.", "note..a", "note.a.*", "note.a.b.c", store.Place("in." + strings.Repeat("x", 97))} {
		if err := b.store.Append(b.within(long), place, store.Frame{Data: []byte("x"), Packets: 1}); err == nil {
			b.Errorf("place %q: no error", place)
		}
	}
	if got := b.places(); len(got) != 0 {
		b.Errorf("left behind: %+v", got)
	}
}

// Data are any bytes, up to the bound, and the caller's again after the append.
func testData(b *bench) {
	largest := make([]byte, store.MaxFrame)
	for i := range largest {
		largest[i] = byte(i * i >> 8)
	}
	name := store.Place("in." + strings.Repeat("x", 96))
	for _, data := range [][]byte{largest, {0}, []byte("\r\n\x00\xff")} {
		given := bytes.Clone(data)
		if err := b.store.Append(b.within(long), name, store.Frame{Data: given, Packets: store.MaxPackets}); err != nil {
			b.Fatal(err)
		}
		clear(given)
		l := b.pullOne(name, string(data))
		b.release(l, 0)
		b.ack(b.pullOne(name, string(data)))
	}
	b.empty()
}

// Clear ends a whole place, and only that.
func testClear(b *bench) {
	b.append(greet, "a", "b", "c")
	b.append("in.other", "d")
	if err := b.store.Clear(b.within(long), greet); err != nil {
		b.Fatal(err)
	}
	if err := b.store.Clear(b.within(long), "in.nobody"); err != nil {
		b.Errorf("to clear a place that does not exist: %v", err)
	}
	err := b.store.Look(b.within(long), greet, 0, func(r store.Resting) bool {
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
