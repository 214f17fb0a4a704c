package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// seedsEnv is how many random runs there are; seedEnv, unless empty, is the only
// one.
const (
	seedsEnv = "PMK_RANDOM_SEEDS"
	seedEnv  = "PMK_RANDOM_SEED"
)

// testRandom compares a store, after each of many random operations, with the
// reference.
func testRandom(b *bench) {
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		b.randomRun(seed)
		return
	}
	seeds := 20
	if text := os.Getenv(seedsEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		seeds = n
	}
	for range seeds {
		b.close()
		b.dir = b.TempDir()
		b.open(0, 0)
		b.randomRun(rand.Uint64())
	}
}

// A compared store is one at work beside the reference.
type compared struct {
	*bench
	*rand.Rand
	seed   uint64
	op     int
	model  *reference
	clock  time.Duration     // how far ahead of the real one
	number map[string]uint64 // of frames, by their data
	held   map[string]store.Lease
	ended  []store.Lease
	queues []store.Queue
	loose  map[string]int // of frames that a reopened store had, the least count of deliveries
}

func (b *bench) randomRun(seed uint64) {
	c := &compared{
		bench: b, Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed,
		number: map[string]uint64{}, held: map[string]store.Lease{}, loose: map[string]int{},
		queues: []store.Queue{greet, wait, "in.a", "wait.A.B"},
	}
	var err error
	c.model, err = openReference(Options{Now: func() time.Time { return time.Now().Add(c.clock) }}, "")
	if err != nil {
		b.Fatal(err)
	}
	for c.op = range 250 {
		switch n := c.IntN(100); {
		case n < 55:
			c.commitRandom()
		case n < 80:
			c.pullRandom()
		case n < 94:
			c.releaseRandom()
		case n < 98:
			if err := c.unknown(); err != nil {
				c.fail("%v", err)
			}
		case b.kind.Promise.Kill:
			c.reopen()
		}
		c.compare()
	}
}

// fail ends the test and says how to repeat it.
func (c *compared) fail(format string, args ...any) {
	c.Helper()
	c.Fatalf("%s=%d, operation %d: %s", seedEnv, c.seed, c.op, fmt.Sprintf(format, args...))
}

func (c *compared) queue() store.Queue { return c.queues[c.IntN(len(c.queues))] }

// modelFrame is the frame with that data.
func (c *compared) modelFrame(data string) *refFrame {
	for _, frames := range c.model.frames {
		for _, f := range frames {
			if string(f.Data) == data {
				return f
			}
		}
	}
	return nil
}

// commitRandom does the same transaction on both.
func (c *compared) commitRandom() {
	tx, ref := store.Tx{Durable: c.IntN(20) == 0}, store.Tx{}
	appended := map[store.Queue]bool{}
	for i := range c.IntN(4) {
		a := appendTo(c.queue(), fmt.Sprintf("%d.%d-%s", c.op, i, strings.Repeat("x", c.IntN(2000))))
		a.Packets = 1 + c.IntN(store.MaxPackets)
		if c.IntN(10) == 0 {
			a.After = time.Duration(1+c.IntN(100)) * time.Hour
		}
		appended[a.To] = true
		tx.Append = append(tx.Append, a)
	}
	keys := map[store.Key]bool{}
	for range c.IntN(4) {
		k := store.Key{In: []store.Table{"a", "ab"}[c.IntN(2)], Key: string([]byte{byte(c.IntN(4)) * 85, byte(c.IntN(3))}[:1+c.IntN(2)])}
		switch {
		case keys[k]:
		case c.IntN(3) == 0:
			tx.Delete = append(tx.Delete, k)
		default:
			tx.Put = append(tx.Put, store.Record{Key: k, Value: []byte(strconv.Itoa(c.op))})
		}
		keys[k] = true
	}
	ref.Append, ref.Put, ref.Delete = tx.Append, tx.Put, tx.Delete
	lapsed := false
	for data, l := range c.anyHeld(c.IntN(4)) {
		tx.Ack = append(tx.Ack, l)
		ref.Ack = append(ref.Ack, c.modelFrame(data).lease)
	}
	if len(c.ended) > 0 && c.IntN(10) == 0 {
		lapsed = true
		tx.Ack = append(tx.Ack, c.ended[c.IntN(len(c.ended))])
	}
	for _, data := range c.anyNumber(c.IntN(8) - 5) {
		f := c.modelFrame(data)
		tx.Remove = append(tx.Remove, store.Ref{At: f.queue, Number: c.number[data]})
		ref.Remove = append(ref.Remove, store.Ref{At: f.queue, Number: f.number})
	}
	if c.IntN(20) == 0 {
		tx.Remove = append(tx.Remove, store.Ref{At: c.queue(), Number: 1 << 40})
	}
	if q := c.queue(); c.IntN(20) == 0 && !appended[q] && !c.holds(q) {
		tx.Clear, ref.Clear = []store.Queue{q}, []store.Queue{q}
	}
	err := c.store.Commit(c.Context(), &tx)
	if lapsed {
		if !errors.Is(err, store.ErrLapsed) {
			c.fail("a transaction with a lease that has ended gave %v", err)
		}
		return
	}
	if err == nil {
		err = c.model.Commit(c.Context(), &ref)
	}
	if err != nil {
		c.fail("commit: %v", err)
	}
	for data, l := range c.held {
		if c.modelFrame(data) == nil {
			delete(c.held, data)
			c.ended = append(c.ended, l)
		}
	}
}

// anyHeld are at most n of the leases that are held.
func (c *compared) anyHeld(n int) map[string]store.Lease {
	some := map[string]store.Lease{}
	for _, data := range c.sorted() {
		if len(some) < n && c.IntN(2) == 0 {
			some[data] = c.held[data]
		}
	}
	return some
}

// sorted are the data of the frames that are held, so that a seed always does
// the same.
func (c *compared) sorted() []string {
	all := make([]string, 0, len(c.held))
	for data := range c.held {
		all = append(all, data)
	}
	slices.Sort(all)
	return all
}

// anyNumber are at most n frames that have a number, leased or not.
func (c *compared) anyNumber(n int) (data []string) {
	for _, q := range c.queues {
		for _, f := range c.model.frames[q] {
			if f.number > 0 && c.IntN(3) == 0 && len(data) < n {
				data = append(data, string(f.Data))
			}
		}
	}
	return data
}

func (c *compared) holds(q store.Queue) bool {
	for _, f := range c.model.frames[q] {
		if f.lease != nil {
			return true
		}
	}
	return false
}

// pullRandom leases frames and sees that they are the oldest free ones.
func (c *compared) pullRandom() {
	from, most := c.queue(), 1+c.IntN(5)
	var free []*refFrame
	for _, f := range c.model.frames[from] {
		if f.number > 0 && f.lease == nil && !f.ready.After(time.Now()) {
			free = append(free, f)
		}
	}
	slices.SortFunc(free, func(x, y *refFrame) int {
		return int(int64(c.number[string(x.Data)]) - int64(c.number[string(y.Data)]))
	})
	ctx, cancel := context.WithTimeout(c.Context(), long)
	defer cancel()
	if len(free) == 0 {
		if c.IntN(5) > 0 {
			return
		}
		ctx, cancel = context.WithTimeout(ctx, 2*time.Millisecond)
		defer cancel()
	}
	leases, err := c.store.Pull(ctx, from, most)
	switch {
	case len(free) == 0 && errors.Is(err, context.DeadlineExceeded):
		return
	case err != nil:
		c.fail("pull from %s, with %d frames free: %v", from, len(free), err)
	case len(leases) == 0 || len(leases) > min(most, len(free)):
		c.fail("a pull of %d from %s, with %d frames free, gave %d", most, from, len(free), len(leases))
	}
	for i, l := range leases {
		f, data := free[i], string(l.Data())
		if data != string(f.Data) || l.Number() != c.number[data] {
			c.fail("pulled %s with number %d from %s; expected %s with number %d", brief(data), l.Number(), from, brief(string(f.Data)), c.number[string(f.Data)])
		}
		f.deliveries++
		least, loose := c.loose[data]
		if got := l.Deliveries(); !loose && got != f.deliveries || loose && got < least {
			c.fail("%s has %d deliveries; expected %d, or since the store was closed at least %d", brief(data), got, f.deliveries, least)
		}
		f.deliveries = l.Deliveries()
		delete(c.loose, data)
		f.lease = &refLease{store: c.model, frame: f, deliveries: f.deliveries}
		c.held[data] = l
	}
}

// releaseRandom gives frames back, for at once or for much later.
func (c *compared) releaseRandom() {
	for data, l := range c.anyHeld(3) {
		after := time.Duration(0)
		if c.IntN(4) == 0 {
			after = time.Hour
		}
		if err := errors.Join(l.Release(after), c.modelFrame(data).lease.Release(after)); err != nil {
			c.fail("release: %v", err)
		}
		delete(c.held, data)
		c.ended = append(c.ended, l)
	}
	if len(c.ended) > 0 {
		if err := c.ended[c.IntN(len(c.ended))].Release(0); err != nil {
			c.fail("release of a lease that has ended: %v", err)
		}
	}
}

// unknown asks for what is not there.
func (c *compared) unknown() error {
	err := c.store.Look(c.Context(), "in.unknown", 0, func(store.Stored) bool {
		c.fail("an unknown queue shows a frame")
		return false
	})
	_, ok, getErr := c.store.Get(c.Context(), store.Key{In: "unknown", Key: "x"})
	if ok {
		c.fail("an unknown record is there")
	}
	return errors.Join(err, getErr)
}

// reopen closes the store and opens it some hours later, as far as it can tell.
func (c *compared) reopen() {
	if c.kind.Clock {
		c.clock += time.Duration(c.IntN(30)) * time.Hour
	}
	ahead := c.clock
	c.openAs(Options{Now: func() time.Time { return time.Now().Add(ahead) }})
	for _, frames := range c.model.frames {
		for _, f := range frames {
			// A store may count by the highest number that was leased.
			least := max(1, c.loose[string(f.Data)])
			if f.lease != nil {
				f.lease, least = nil, 2
			}
			c.loose[string(f.Data)] = least
			if f.number > 0 {
				f.ready = time.Time{} // a release ends with the store
			} else {
				f.ready = f.due.Add(-ahead)
			}
		}
	}
	c.model.mu.Lock()
	c.model.ripen()
	c.model.mu.Unlock()
	clear(c.held)
	c.ended = nil
	c.eventually("delayed frames whose time came while the store was closed can be leased", func() bool {
		return c.delayedFrames(c.store) == c.delayedFrames(c.model)
	})
}

// compare sees that both show the same.
func (c *compared) compare() {
	for _, q := range c.queues {
		c.compareQueue(q)
	}
	counts, err := c.store.Queues(c.Context())
	want, wantErr := c.model.Queues(c.Context())
	if err := errors.Join(err, wantErr); err != nil {
		c.fail("queues: %v", err)
	}
	same := slices.EqualFunc(counts, want, func(x, y store.Count) bool {
		return x.Queue == y.Queue && x.Frames == y.Frames && x.Packets == y.Packets && x.Bytes == y.Bytes
	})
	if !same {
		c.fail("the queues are %+v; expected %+v", counts, want)
	}
	for _, t := range []store.Table{"a", "ab"} {
		keys, records := c.scan(t, "")
		var wantKeys []string
		err := c.model.Scan(c.Context(), t, "", func(key string, value []byte) bool {
			wantKeys = append(wantKeys, key)
			if records[key] != string(value) || c.get(t, key) != string(value) {
				c.fail("the record %q of %s is %q and %q; expected %q", key, t, records[key], c.get(t, key), value)
			}
			return true
		})
		if err != nil || !slices.Equal(keys, wantKeys) {
			c.fail("%s has the keys %q, %v; expected %q", t, keys, err, wantKeys)
		}
	}
}

func (c *compared) compareQueue(q store.Queue) {
	var want, delayed []string
	for _, s := range c.lookAllOf(c.model, q) {
		if s.NotBefore.IsZero() {
			want = append(want, string(s.Data))
		} else {
			delayed = append(delayed, string(s.Data))
		}
	}
	var got, gotDelayed []string
	last := uint64(0)
	for _, s := range c.lookAllOf(c.store, q) {
		data := string(s.Data)
		if !s.NotBefore.IsZero() {
			gotDelayed = append(gotDelayed, data)
			continue
		}
		if len(gotDelayed) > 0 || s.Number <= last {
			c.fail("%s shows number %d after %d, and after %d delayed frames", q, s.Number, last, len(gotDelayed))
		}
		last = s.Number
		if n, ok := c.number[data]; ok && n != last {
			c.fail("the number of %s was %d and is %d", brief(data), n, last)
		}
		c.number[data] = last
		got = append(got, data)
	}
	slices.Sort(got) // the order is that of the numbers, which are compared
	slices.Sort(want)
	slices.Sort(delayed)
	slices.Sort(gotDelayed)
	if !slices.Equal(got, want) || !slices.Equal(gotDelayed, delayed) {
		c.fail("%s shows %s, and delayed %s; expected %s, and delayed %s", q, brief(got...), brief(gotDelayed...), brief(want...), brief(delayed...))
	}
}

func (c *compared) lookAllOf(s store.Store, q store.Queue) (all []store.Stored) {
	err := s.Look(c.Context(), q, 0, func(st store.Stored) bool {
		all = append(all, st)
		return true
	})
	if err != nil {
		c.fail("look at %s: %v", q, err)
	}
	return all
}

// delayedFrames counts the frames that are shown as delayed.
func (c *compared) delayedFrames(s store.Store) (n int) {
	for _, q := range c.queues {
		for _, st := range c.lookAllOf(s, q) {
			if !st.NotBefore.IsZero() {
				n++
			}
		}
	}
	return n
}
