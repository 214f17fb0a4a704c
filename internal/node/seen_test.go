package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// waiting is the data of what waits in A:A.
func (w *world) waiting() []string {
	w.t.Helper()
	got := []string{}
	err := w.Show(w.t.Context(), "A:A", func(p packet.Packet) bool {
		got = append(got, p.Data)
		return true
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func (w *world) wantWaiting(want ...string) {
	w.t.Helper()
	if got := w.waiting(); !slices.Equal(got, want) {
		w.t.Errorf("%q wait in A:A; expected %q", got, want)
	}
}

// send sends data with the id of that name.
func (w *world) send(name, data string) {
	w.t.Helper()
	if err := w.Inject(w.t.Context(), packet.Packet{ID: packet.HashID(name), State: "A:A", Data: data}); err != nil {
		w.t.Fatal(err)
	}
}

// sharing is a store that claims to be shared.
type sharing struct{ store.Store }

func (sharing) Exclusive(ctx context.Context, _ string) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

// TestAnIDIsTakenOnce sends packets again: each is stored once, in every kind of
// store, and what has no id of its sender's is another each time.
func TestAnIDIsTakenOnce(t *testing.T) {
	for name, open := range map[string]func() (store.Store, Durability){
		"memory": func() (store.Store, Durability) { return inMemory(t, pebble.Config{}), Memory },
		"none":   func() (store.Store, Durability) { return inMemory(t, pebble.Config{}), None },
		"shared": func() (store.Store, Durability) { return sharing{inMemory(t, pebble.Config{})}, Disk },
	} {
		t.Run(name, func(t *testing.T) {
			s, d := open()
			w := newWorld(t)
			w.Node = New(Config{Name: "test", Store: s, Durability: d, Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Kinds: w.cfg.Kinds})
			w.start()
			for range 3 {
				w.send("a", "a")
				w.send("b", "b")
				w.inject("A:A", "drawn", nil)
				large := string(bytes.Repeat([]byte("x"), store.MaxInline+1))
				if err := w.InjectData(t.Context(), packet.Packet{ID: packet.HashID("large"), State: "A:A"}, bytes.NewReader([]byte(large)), -1); err != nil {
					t.Fatal(err)
				}
			}
			in := w.Intake()
			for range 2 {
				for i := range 1000 {
					if err := in.Put(t.Context(), packet.Packet{ID: packet.HashID("many", fmt.Sprint(i)), State: "A:MANY"}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := in.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []string{"", "a", "b", "drawn", "drawn", "drawn"}
			got := w.waiting()
			for i := range got {
				if len(got[i]) > store.MaxInline { // in memory
					got[i] = ""
				}
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%q wait; expected %q", got, want)
			}
			for _, st := range w.Status(t.Context()).Waiting {
				if st.State == "A:MANY" && st.Packets != 1000 {
					t.Errorf("%d of 1000 packets that were sent twice wait", st.Packets)
				}
			}
			if n := len(w.seen.coming); n != 0 {
				t.Errorf("%d claims are left", n)
			}
		})
	}
}

// TestAnIDIsTakenOnceForAllSeeds has two seeds that take the packet.
func TestAnIDIsTakenOnceForAllSeeds(t *testing.T) {
	for _, d := range []Durability{Memory, None} {
		w, _ := newLoggedWorld(t, inMemory(t, pebble.Config{}), d)
		var one, two basket
		w.host(w.seed("one", "A:A ->", one.run), w.seed("two", "A:A ->", two.run))
		w.start()
		for range 3 {
			w.send("a", "a")
		}
		w.drain()
		one.want(t, "a")
		two.want(t, "a")
	}
}

// TestIDsOutliveTheNode opens the store again.
func TestIDsOutliveTheNode(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		w, _ := newLoggedWorld(t, s, Disk)
		w.start()
		w.send("a", "a")
		w.send(fmt.Sprint("new", i), fmt.Sprint("new", i))
		if i == 2 {
			w.wantWaiting("a", "new0", "new1", "new2")
			if n := w.seen.count(); n != 4 {
				t.Errorf("%d ids are counted; expected 4", n)
			}
		}
		w.end()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// idsIn counts the records of ids in the store, by either table.
func idsIn(t *testing.T, s store.Store) (seen, at int) {
	t.Helper()
	for table, n := range map[store.Table]*int{seenTable: &seen, seenAtTable: &at} {
		if err := s.Scan(t.Context(), table, "", func(string, []byte) bool { *n++; return true }); err != nil {
			t.Fatal(err)
		}
	}
	return seen, at
}

// TestOfTooManyIDsTheOldestGo has a store with room for 32 ids.
func TestOfTooManyIDsTheOldestGo(t *testing.T) {
	for _, d := range []Durability{Memory, None} {
		t.Run(d.String(), func(t *testing.T) {
			s := inMemory(t, pebble.Config{Size: 32 * 100 * 100})
			w, _ := newLoggedWorld(t, s, d)
			w.start()
			for i := range 100 {
				w.send(fmt.Sprint(i), "x")
			}
			if d == Memory {
				testenv.Eventually(t, 10*time.Second, "the oldest are gone", func() bool { return w.seen.count() <= 32 })
				if a, b := idsIn(t, s); a != b || int64(a) != w.seen.count() || a < 30 {
					t.Errorf("%d and %d records of ids for a count of %d", a, b, w.seen.count())
				}
			} else if len(w.seen.ids) != 32 || len(w.seen.order) != 32 {
				t.Errorf("%d and %d ids are remembered; expected 32", len(w.seen.ids), len(w.seen.order))
			}
			before := len(w.waiting())
			w.send("99", "again")
			w.send("0", "again")
			if n := len(w.waiting()) - before; n != 1 {
				t.Errorf("%d of the newest and the oldest were stored again; expected the oldest alone", n)
			}
		})
	}
}

// TestIDsAreForgottenAfterADay has a clock that is moved.
func TestIDsAreForgottenAfterADay(t *testing.T) {
	for _, d := range []Durability{Memory, None} {
		t.Run(d.String(), func(t *testing.T) {
			s := inMemory(t, pebble.Config{})
			w, _ := newLoggedWorld(t, s, d)
			now := time.Now().UnixNano()
			w.seen.now = func() int64 { return now }
			// Not started: nothing is removed by itself.
			w.send("a", "first")
			now += int64(seenFor) - 1
			w.send("b", "first")
			w.send("a", "again")
			w.wantWaiting("first", "first")
			now++
			w.send("a", "a day later")
			w.send("a", "again")
			w.send("b", "again")
			w.wantWaiting("a day later", "first", "first")
			if d == None {
				if len(w.seen.ids) != 2 || len(w.seen.order) != 2 {
					t.Errorf("%d and %d ids are remembered; expected 2", len(w.seen.ids), len(w.seen.order))
				}
				return
			}
			if next, err := w.seen.clear(t.Context()); err != nil || next != seenFor-1 {
				t.Errorf("the next is due in %v, %v", next, err)
			}
			if a, b := idsIn(t, s); a != 2 || b != 2 || w.seen.count() != 2 {
				t.Errorf("%d and %d records of ids, count %d; expected 2", a, b, w.seen.count())
			}
			w.send("a", "again")
			w.wantWaiting("a day later", "first", "first")
			now += int64(seenFor)
			if next, err := w.seen.clear(t.Context()); err != nil || next != seenFor {
				t.Errorf("the next is due in %v, %v", next, err)
			}
			if a, b := idsIn(t, s); a != 0 || b != 0 || w.seen.count() != 0 {
				t.Errorf("%d and %d records of ids, count %d; expected none", a, b, w.seen.count())
			}
		})
	}
}

// TestAClockThatWasAhead takes ids of a process whose clock was a year ahead for
// those of now.
func TestAClockThatWasAhead(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	before, _ := newLoggedWorld(t, s, Memory)
	real := before.seen.now
	before.seen.now = func() int64 { return real() + int64(365*24*time.Hour) }
	for i := range 2500 {
		before.send(fmt.Sprint(i), "x")
	}
	w, _ := newLoggedWorld(t, s, Memory)
	now := time.Now().UnixNano()
	w.seen.now = func() int64 { return now }
	w.send("2", "again")
	if next, err := w.seen.clear(t.Context()); err != nil || next != seenFor {
		t.Errorf("the next is due in %v, %v", next, err)
	}
	w.send("1", "again")
	if n := len(w.waiting()); n != 2500 {
		t.Errorf("%d wait; expected 2500", n)
	}
	now += int64(seenFor)
	if _, err := w.seen.clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := idsIn(t, s); a != 0 || b != 0 || w.seen.count() != 0 {
		t.Errorf("a day later there are %d and %d records of ids, count %d", a, b, w.seen.count())
	}
}

// TestTwoAtOnce has senders of one id come while the first is on its way.
func TestTwoAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		stop  bool // the first gives up
		stops error
		want  string
	}{{"the first is stored", false, nil, "first"}, {"the first gives up", true, context.Canceled, "second"}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder(inMemory(t, pebble.Config{}))
				var shut atomic.Bool
				shut.Store(true)
				rec.refuse = func(store.Queue, store.Frame) error {
					if shut.Load() {
						return store.ErrFull
					}
					return nil
				}
				w, _ := newLoggedWorld(t, rec, Memory)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				first, others := make(chan error, 1), make(chan error, 10)
				p := packet.Packet{ID: packet.HashID("a"), State: "A:A", Data: "first"}
				go func() { first <- w.Inject(ctx, p) }()
				synctest.Wait()
				p.Data = "second"
				for range cap(others) {
					go func() { others <- w.Inject(t.Context(), p) }()
				}
				synctest.Wait()
				if c.stop {
					stop()
					synctest.Wait()
				}
				shut.Store(false)
				if err := <-first; !errors.Is(err, c.stops) {
					t.Errorf("the first gets %v", err)
				}
				for range cap(others) {
					if err := <-others; err != nil {
						t.Error(err)
					}
				}
				w.wantWaiting(c.want)
				if a, b := idsIn(t, rec); a != 1 || b != 1 || w.seen.count() != 1 {
					t.Errorf("%d and %d records of ids, count %d; expected one", a, b, w.seen.count())
				}
				w.stop()
				w.goroutines.Wait()
			})
		})
	}
}

// TestAPacketThatFailsIsNotRemembered sends one that is refused, and then as it
// should be.
func TestAPacketThatFailsIsNotRemembered(t *testing.T) {
	w, _ := newLoggedWorld(t, inMemory(t, pebble.Config{}), Memory)
	w.start()
	p := packet.Packet{ID: packet.HashID("a"), State: "A:A", Data: "a", Trail: &packet.Hop{Seed: "s", Node: string(make([]byte, store.MaxFrame)), Depth: 1}}
	if err := w.Inject(t.Context(), p); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
	p.Trail = nil
	if err := w.Inject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.wantWaiting("a")
}
