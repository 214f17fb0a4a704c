package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// A Kind is one implementation of a store.
type Kind struct {
	// Open opens a store. If the kind promises to survive a kill, it is one
	// on what was stored in the folder before; else it is an empty one. The
	// suite closes every store.
	Open func(ctx context.Context, o Options) (store.Store, error)
	// Promise is what the kind holds to.
	Promise store.Promise
	// Clock tells that Open heeds Options.Now, and FS that it heeds Options.FS.
	Clock, FS bool
	// Lag is how long before a kill a frame has to have been leased for the
	// store to know of it afterwards.
	Lag time.Duration
	// Serial: the tests run one after the other, since they have servers in common
	// that a busy machine makes too slow for each other.
	Serial bool
	// Queues is how many queues the tests make that need many of them. A queue
	// may be expensive, when several servers have to agree on it. 0 means 100.
	Queues int
	// Delay is how long tests delay frames that they wait for. It is longer than
	// the store takes to append some, count them and look at them, on a busy
	// machine. 0 means 500 ms.
	Delay time.Duration
}

// Options is how a test wants its store opened.
type Options struct {
	// Dir is the folder of the store.
	Dir string
	// Size is how many bytes roots may take, 0 means without a bound; Reserve
	// is how many more descendants may take.
	Size, Reserve int64
	// Now is the clock of the machine, which may be wrong; nil means [time.Now].
	Now func() time.Time
	// FS is the file system that the folder is on; nil is that of the machine.
	FS vfs.FS
}

// share lets the test run beside the others.
func (k Kind) share(t *testing.T) {
	if !k.Serial {
		t.Parallel()
	}
}

// queues is how many queues a test makes that needs many.
func (k Kind) queues() int { return cmp.Or(k.Queues, 100) }

// delay is how long tests delay frames.
func (k Kind) delay() time.Duration { return cmp.Or(k.Delay, 500*time.Millisecond) }

const (
	// long bounds everything that should take no time, even on a busy machine.
	long = time.Minute
	// soon is below what a store would wait for without need: for more frames
	// than there are, or for a lease to lapse.
	soon = 3 * time.Second
	// short is how long a pull waits that should get nothing.
	short = 100 * time.Millisecond
)

const (
	greet = store.Queue("in.greet")
	wait  = store.Queue("wait.String.RAW")
)

// A bench is one store at work.
type bench struct {
	*testing.T
	kind  Kind
	dir   string
	store store.Store
}

// open is a bench with a store without a bound.
func open(t *testing.T, k Kind) *bench {
	b := &bench{T: t, kind: k, dir: t.TempDir()}
	b.open(0, 0)
	return b
}

// open opens the store again, closing the one that there is.
func (b *bench) open(size, reserve int64) {
	b.Helper()
	b.openAs(Options{Size: size, Reserve: reserve})
}

// openAs is open with all options; the folder is the bench's.
func (b *bench) openAs(o Options) {
	b.Helper()
	b.close()
	o.Dir = b.dir
	s, err := b.kind.Open(b.Context(), o)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.store = s
	b.Cleanup(func() { s.Close() })
}

func (b *bench) close() {
	b.Helper()
	if b.store == nil {
		return
	}
	if err := b.store.Close(); err != nil {
		b.Fatalf("close: %v", err)
	}
	b.store = nil
}

// within is a context of that length.
func (b *bench) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), d)
	b.Cleanup(cancel)
	return ctx
}

// put appends one frame and waits until it is safe.
func put(ctx context.Context, s store.Store, to store.Queue, f store.Frame) error {
	return s.Commit(ctx, &store.Tx{Append: []store.Append{{To: to, Frame: f}}, Durable: true})
}

func (b *bench) put(to store.Queue, f store.Frame) error {
	return put(b.within(long), b.store, to, f)
}

// commit does a transaction that nothing stands against.
func (b *bench) commit(tx *store.Tx) {
	b.Helper()
	if err := b.store.Commit(b.within(long), tx); err != nil {
		b.Fatalf("commit: %v", err)
	}
}

func (b *bench) remove(at store.Queue, number uint64) error {
	return b.store.Commit(b.within(long), &store.Tx{Remove: []store.Ref{{At: at, Number: number}}})
}

func (b *bench) clear(q store.Queue) error {
	return b.store.Commit(b.within(long), &store.Tx{Clear: []store.Queue{q}})
}

// append appends a frame of one packet for each of data.
func (b *bench) append(to store.Queue, data ...string) {
	b.Helper()
	for _, d := range data {
		if err := b.put(to, store.Frame{Data: []byte(d), Packets: 1}); err != nil {
			b.Fatalf("append %s to %s: %v", brief(d), to, err)
		}
	}
}

// pull leases frames until it has as many as data, and compares them in order.
func (b *bench) pull(from store.Queue, data ...string) []store.Lease {
	b.Helper()
	var leases []store.Lease
	var got []string
	for len(leases) < len(data) {
		more, err := b.store.Pull(b.within(long), from, len(data)-len(leases))
		if err != nil {
			b.Fatalf("pull from %s, after %q: %v", from, got, err)
		}
		if len(more) == 0 || len(more) > len(data)-len(leases) {
			b.Fatalf("pulled %d frames; expected 1 to %d", len(more), len(data)-len(leases))
		}
		leases = append(leases, more...)
		for _, l := range more {
			got = append(got, string(l.Data()))
		}
	}
	if !slices.Equal(got, data) {
		b.Fatalf("pulled %s from %s; expected %s", brief(got...), from, brief(data...))
	}
	return leases
}

// pullOne leases the only frame of a queue.
func (b *bench) pullOne(from store.Queue, data string) store.Lease {
	b.Helper()
	return b.pull(from, data)[0]
}

// nothing sees that there is nothing to pull.
func (b *bench) nothing(from store.Queue, during time.Duration) {
	b.Helper()
	leases, err := b.store.Pull(b.within(during), from, 10)
	if !errors.Is(err, context.DeadlineExceeded) || len(leases) > 0 {
		b.Fatalf("a pull from %s that should have waited in vain gave %d frames and %v", from, len(leases), err)
	}
}

// ack acknowledges one lease by itself and several in a transaction.
func (b *bench) ack(leases ...store.Lease) {
	b.Helper()
	if len(leases) > 1 {
		b.commit(&store.Tx{Ack: leases})
		return
	}
	for _, l := range leases {
		if err := l.Ack(); err != nil {
			b.Fatalf("ack of %s: %v", brief(string(l.Data())), err)
		}
	}
}

func (b *bench) release(l store.Lease, after time.Duration) {
	b.Helper()
	if err := l.Release(after); err != nil {
		b.Fatalf("release of %s: %v", brief(string(l.Data())), err)
	}
}

func (b *bench) deliveries(l store.Lease, want int) {
	b.Helper()
	if got := l.Deliveries(); got != want {
		b.Errorf("%s has %d deliveries; expected %d", brief(string(l.Data())), got, want)
	}
}

// queues is what Queues says.
func (b *bench) queues() []store.Count {
	b.Helper()
	counts, err := b.store.Queues(b.within(long))
	if err != nil {
		b.Fatalf("queues: %v", err)
	}
	return counts
}

// frames is how many frames all queues have.
func (b *bench) frames() int {
	b.Helper()
	n := 0
	for _, c := range b.queues() {
		n += c.Frames
	}
	return n
}

// empty waits until nothing is left; acks are not waited for, so it may take a
// moment.
func (b *bench) empty() {
	b.Helper()
	b.eventually("the store is empty", func() bool { return b.frames() == 0 })
}

// series is n different texts.
func series(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return all
}

// brief shows data that may be long or many.
func brief(data ...string) string {
	var out []string
	for i, d := range data {
		if i == 20 {
			out = append(out, fmt.Sprintf("and %d more", len(data)-i))
			break
		}
		if len(d) > 40 {
			d = d[:40] + "..."
		}
		out = append(out, fmt.Sprintf("%q", d))
	}
	return strings.Join(out, ", ")
}

// eventually waits for what should take no time.
func (b *bench) eventually(what string, cond func() bool) {
	b.Helper()
	testenv.Eventually(b.T, long, what, cond)
}
