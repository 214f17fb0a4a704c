package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// frames are the data in a queue.
func frames(t *testing.T, s *Store, q store.Queue) (all []string) {
	t.Helper()
	err := s.Look(t.Context(), q, 0, func(r store.Stored) bool {
		all = append(all, string(r.Data))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func frameIn(q store.Queue, data string) store.Append {
	return store.Append{To: q, Frame: store.Frame{Data: []byte(data), Packets: 1}}
}

func recordOf(key string) store.Record {
	return store.Record{Key: store.Key{In: "progress", Key: key}, Value: []byte(key)}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	c := startServers(t, 3, nil)
	s := openOn(t, c, "commit", nil)
	write(t, s, store.Tx{Append: []store.Append{frameIn(greet, "input"), frameIn("in.gone", "x"), frameIn("in.gone", "y")}})
	input := pullOne(t, s, "input", 1)
	tx := store.Tx{
		Put: []store.Record{recordOf("a"), recordOf("b")}, Ack: []store.Lease{input, input}, Clear: []store.Queue{"in.gone"}, Durable: true,
	}
	var want []string
	for i := range 60 {
		data := fmt.Sprint(i)
		tx.Append = append(tx.Append, frameIn(store.Queue(fmt.Sprintf("in.out%d", i%3)), data))
		if i%3 == 1 {
			want = append(want, data)
		}
	}
	write(t, s, tx)
	if got := frames(t, s, "in.out1"); !slices.Equal(got, want) {
		t.Errorf("one queue has %q; expected %q", got, want)
	}
	if got := append(frames(t, s, greet), frames(t, s, "in.gone")...); len(got) > 0 {
		t.Errorf("what ended is there: %q", got)
	}
	if got := scan(t, s, "progress", ""); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the records are %q", got)
	}
	if err := s.Commit(t.Context(), &store.Tx{Ack: []store.Lease{input}}); !errors.Is(err, store.ErrLapsed) {
		t.Errorf("an acknowledgement under a lease that has ended: %v", err)
	}
}

// What is refused leaves nothing behind.
func TestCommitRefused(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "refused", func(cfg *Config) { cfg.Size, cfg.Reserve = 1<<20, 1<<20 })
	other := openOn(t, c, "other", nil)
	write(t, s, store.Tx{Append: []store.Append{frameIn(greet, "input"), frameIn(greet, "given back")}})
	write(t, other, store.Tx{Append: []store.Append{frameIn(greet, "elsewhere")}})
	input, over, elsewhere := pullOne(t, s, "input", 1), pullOne(t, s, "given back", 1), pullOne(t, other, "elsewhere", 1)
	if err := over.Release(time.Hour); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	large := store.Append{To: "in.large", Frame: store.Frame{Data: make([]byte, 400<<10), Packets: 1}}
	descendant := large
	descendant.Rank = store.Descendant
	for name, c := range map[string]struct {
		ctx  context.Context
		tx   store.Tx
		want error
	}{
		"an ended context":         {ctx: ended, want: context.Canceled},
		"an ended lease":           {tx: store.Tx{Ack: []store.Lease{over}}, want: store.ErrLapsed},
		"another store's":          {tx: store.Tx{Ack: []store.Lease{elsewhere}}},
		"no table":                 {tx: store.Tx{Delete: []store.Key{{In: "T", Key: "k"}}}},
		"no queue":                 {tx: store.Tx{Append: []store.Append{frameIn("in.*", "x")}}},
		"more roots than room":     {tx: store.Tx{Append: []store.Append{large, large, large}}, want: store.ErrFull},
		"more than room":           {tx: store.Tx{Append: []store.Append{descendant, descendant, descendant, descendant, descendant, descendant}}, want: store.ErrFull},
		"more roots beside others": {tx: store.Tx{Append: []store.Append{large, descendant, large, descendant, large}}, want: store.ErrFull},
	} {
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		c.tx.Append = append(c.tx.Append, frameIn("in.out", "output"))
		c.tx.Put = append(c.tx.Put, recordOf("a"))
		c.tx.Ack = append(c.tx.Ack, input)
		if err := s.Commit(c.ctx, &c.tx); err == nil || !errors.Is(err, c.want) && c.want != nil {
			t.Errorf("%s: %v; expected %v", name, err, c.want)
		}
	}
	if got := append(frames(t, s, "in.out"), frames(t, s, "in.large")...); len(got) > 0 {
		t.Errorf("what was refused is there: %d frames", len(got))
	}
	if got := scan(t, s, "progress", ""); len(got) > 0 {
		t.Errorf("what was refused is there: %q", got)
	}
	write(t, s, store.Tx{Append: []store.Append{large, large, descendant}, Ack: []store.Lease{input}})
}

// A step that fails ends the transaction before the next one, and the error does
// not say that nothing was done.
func TestCommitInPart(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) { o.JetStreamMaxStore = 4 << 20 })
	s := openOn(t, c, "part", nil)
	write(t, s, store.Tx{Append: []store.Append{frameIn(greet, "input")}})
	input := pullOne(t, s, "input", 1)
	tx := store.Tx{Put: []store.Record{recordOf("a")}, Ack: []store.Lease{input}}
	for range 10 {
		tx.Append = append(tx.Append, store.Append{To: "in.out", Frame: store.Frame{Data: make([]byte, store.MaxFrame), Packets: 1}})
	}
	err := s.Commit(t.Context(), &tx)
	if err == nil || errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrBroken) {
		t.Errorf("a transaction that was done in part: %v", err)
	}
	if got := frames(t, s, "in.out"); len(got) == 0 || len(got) == 10 {
		t.Errorf("%d of 10 frames are there", len(got))
	}
	if got := scan(t, s, "progress", ""); len(got) > 0 {
		t.Errorf("a record was written before all frames were stored: %q", got)
	}
	if err := input.Release(0); err != nil {
		t.Fatal(err)
	}
	pullOne(t, s, "input", 2)
}

// A node that dies within a transaction leaves its input, or all that came of it.
func TestCommitCutOff(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "cut", nil)
	const rounds = 40
	whole := 0
	for i := range rounds {
		name := fmt.Sprintf("%02d", i)
		victim := openOn(t, c, "cut", nil)
		write(t, victim, store.Tx{Append: []store.Append{frameIn(greet, name)}})
		var input store.Lease
		for input == nil { // earlier ones may come again meanwhile
			leases, err := victim.Pull(t.Context(), greet, 1)
			if err != nil {
				t.Fatal(err)
			}
			if string(leases[0].Data()) == name {
				input = leases[0]
			}
		}
		die := func() { victim.stop(); victim.nc.Close() } // without a word
		dies := time.AfterFunc(time.Duration(rand.IntN(15000))*time.Microsecond, die)
		err := victim.Commit(t.Context(), &store.Tx{
			Append: []store.Append{frameIn("in.a", name), frameIn("in.b", name)},
			Put:    []store.Record{recordOf(name)}, Ack: []store.Lease{input}, Durable: true,
		})
		if err == nil {
			whole++
		}
		dies.Stop()
		die()
		if err := victim.Close(); err != nil {
			t.Fatal(err)
		}
	}
	left, a, b, records := frames(t, s, greet), frames(t, s, "in.a"), frames(t, s, "in.b"), scan(t, s, "progress", "")
	for i := range rounds {
		name := fmt.Sprintf("%02d", i)
		has := func(all []string) bool { return slices.Contains(all, name) }
		if !has(left) && (!has(a) || !has(b) || !has(records)) {
			t.Errorf("input %s is gone; its outputs are there: %v, %v, its record: %v", name, has(a), has(b), has(records))
		}
		if has(records) && (!has(a) || !has(b)) {
			t.Errorf("the record of %s was written before its outputs", name)
		}
	}
	t.Logf("%d of %d transactions were done, %d inputs are left", whole, rounds, len(left))
}

// No frame gets a number again, not even in a queue that was cleared.
func TestNumbersAfterClear(t *testing.T) {
	t.Parallel()
	c := startServers(t, 3, nil)
	s, other := openOn(t, c, "numbers", nil), openOn(t, c, "numbers", nil)
	last := uint64(0)
	both := store.Tx{Append: []store.Append{frameIn(greet, "x"), frameIn(greet, "y")}}
	for range 3 {
		// What comes while a stream ends gets no answer from the servers, and may be stored.
		testenv.Eventually(t, 2*time.Minute, "two frames are stored", func() bool {
			err := other.Commit(t.Context(), &both)
			if err == nil {
				return true
			}
			t.Log(err)
			for _, no := range []error{store.ErrFull, store.ErrLapsed, store.ErrClosed} {
				if errors.Is(err, no) { // for sure nothing was done
					t.Fatal(err)
				}
			}
			write(t, s, store.Tx{Clear: []store.Queue{greet}})
			return false
		})
		first := pullOne(t, s, "x", 1)
		if n := first.Number(); n <= last {
			t.Errorf("number %d comes after %d", n, last)
		}
		last = pullOne(t, s, "y", 1).Number()
		write(t, s, store.Tx{Clear: []store.Queue{greet}})
		if err := s.Commit(t.Context(), &store.Tx{Ack: []store.Lease{first}}); !errors.Is(err, store.ErrLapsed) {
			t.Errorf("a lease of a queue that was cleared: %v", err)
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "closed", nil)
	write(t, s, store.Tx{Append: []store.Append{frameIn(greet, "input")}})
	l := pullOne(t, s, "input", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, pulled := s.Pull(t.Context(), greet, 1)
	_, counted := s.Queues(t.Context())
	_, _, got := s.Get(t.Context(), store.Key{In: "t", Key: "k"})
	for name, err := range map[string]error{
		"commit": s.Commit(t.Context(), &store.Tx{}), "pull": pulled, "queues": counted, "get": got, "ack": l.Ack(),
		"look": s.Look(t.Context(), greet, 0, nil), "scan": s.Scan(t.Context(), "t", "", nil),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
}
