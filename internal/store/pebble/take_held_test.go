package pebble

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
)

// reopened is a store that was opened with that many frames in in.a, whose text is their
// place and whose numbers count from first.
func reopened(t *testing.T, cfg Config, frames, size int) (s *Store, first uint64) {
	t.Helper()
	open := func() *Store {
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s = open()
	for i := 0; i < frames; {
		tx := &store.Tx{}
		for range min(100, frames-i) {
			f := store.Frame{Data: []byte(fmt.Sprintf("%d:%s", i, strings.Repeat("x", size))), Packets: 1}
			tx.Append = append(tx.Append, store.Append{To: "in.a", Frame: f})
			i++
		}
		if err := s.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	err := s.Look(t.Context(), "in.a", 0, func(f store.Stored) bool {
		first = f.Number
		return false
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, first
}

// inMemory counts the frames of in.a that are in memory, and their bytes.
func (s *Store) inMemory() (frames, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.byName["in.a"].inMemory {
		bytes += len(f.data)
	}
	return len(s.byName["in.a"].inMemory), bytes
}

// TestTakeReadsWhatItLeases: a frame behind many others is read alone.
func TestTakeReadsWhatItLeases(t *testing.T) {
	s, first := reopened(t, Config{Dir: t.TempDir()}, 1000, 16<<10)
	for _, i := range []uint64{999, 500, 700} {
		leases, err := s.Take([]store.Ref{{At: "in.a", Number: first + i}})
		if err != nil || leases[0] == nil {
			t.Fatal(leases, err)
		}
		if data, _, _ := strings.Cut(string(leases[0].Data()), ":"); data != fmt.Sprint(i) {
			t.Errorf("frame %d is %s", i, data)
		}
	}
	if frames, bytes := s.inMemory(); frames != 3 {
		t.Errorf("%d frames of %d bytes are in memory; expected the 3 that are leased", frames, bytes)
	}
	// What was appended last is in memory, up to a bound, and stays counted there.
	for i := range 3 {
		for range 100 {
			f := store.Frame{Data: make([]byte, 128<<10), Packets: 1}
			if err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: "in.b", Frame: f}}}); err != nil {
				t.Fatal(err)
			}
		}
		s.mu.Lock()
		q, held := s.byName["in.b"], s.held
		last := q.last.number
		s.mu.Unlock()
		if _, err := s.Take([]store.Ref{{At: "in.b", Number: last}}); err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, f := range q.inMemory {
			if f.holder == 0 {
				bytes += len(f.data)
			}
		}
		if bytes > maxHeld || held > maxHeld {
			t.Fatalf("round %d: %d bytes are in memory that nobody has leased, of which %d are counted; at most %d are allowed", i, bytes, held, maxHeld)
		}
	}
}

// TestTakeFails: where one frame cannot be read, those before it are not leased.
func TestTakeFails(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileRead || op.Kind == errorfs.OpFileReadAt) {
			return &os.PathError{Op: "read", Path: op.Path, Err: syscall.EIO}
		}
		return nil
	}))
	s, first := reopened(t, Config{Dir: "/data", FS: fs}, 1000, 16<<10) // more than the engine caches
	leases, err := s.Pull(t.Context(), "in.a", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take([]store.Ref{{At: "in.a", Number: first + 500}}); err != nil {
		t.Fatal(err)
	}
	refs := []store.Ref{{At: "in.a", Number: first + 1}, {At: "in.a", Number: first + 500}, {At: "in.a", Number: first + 900}}
	broken.Store(true)
	_, err = s.Take(refs)
	broken.Store(false)
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("leased with %v; expected the error of the disk", err)
	}
	if err := leases[0].Ack(); err != nil {
		t.Fatal(err)
	}
	again, err := s.Take(refs)
	if err != nil || again[0] == nil || again[1] != nil || again[2] == nil {
		t.Fatalf("after the error, leased were %v, %v", again, err)
	}
	if n := again[0].Deliveries(); n != 1 {
		t.Errorf("%d deliveries of a frame that was given back before anybody had it", n)
	}
}

// TestTakeAmongOthers leases by number, pulls, releases, acknowledges and removes at
// random, through restarts, and compares with what a plain list of frames would do.
func TestTakeAmongOthers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	numbers := []uint64{}            // that are there, in order
	held := map[uint64]store.Lease{} // of those
	for round := range 8 {
		s, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		appendFrames := func(n int) {
			for range n {
				f := store.Frame{Data: []byte("x"), Packets: 1}
				if err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: "in.a", Frame: f}}}); err != nil {
					t.Fatal(err)
				}
			}
			next := uint64(0)
			if len(numbers) > 0 {
				next = numbers[len(numbers)-1] + 1
			}
			err := s.Look(t.Context(), "in.a", next, func(f store.Stored) bool {
				numbers = append(numbers, f.Number)
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		out := func(number uint64) {
			delete(held, number)
			numbers = slices.DeleteFunc(numbers, func(n uint64) bool { return n == number })
		}
		appendFrames(300)
		for step := range 400 {
			number := numbers[random.IntN(len(numbers))]
			fail := func(what string, got any) {
				t.Helper()
				t.Fatalf("round %d, step %d: %s of frame %d gave %v", round, step, what, number, got)
			}
			lease := held[number]
			switch random.IntN(6) {
			case 0, 1:
				got, err := s.Take([]store.Ref{{At: "in.a", Number: number}})
				if err != nil || (got[0] == nil) == (lease == nil) {
					fail("a lease", fmt.Sprint(got, err, lease))
				}
				if lease == nil {
					held[number] = got[0]
				}
			case 2:
				free := slices.DeleteFunc(slices.Clone(numbers), func(n uint64) bool { return held[n] != nil })
				if len(free) == 0 {
					continue
				}
				got, err := s.Pull(t.Context(), "in.a", 1+random.IntN(5))
				if err != nil {
					fail("a pull", err)
				}
				for i, l := range got {
					if l.Number() != free[i] {
						t.Fatalf("round %d, step %d: pulled %d; expected %d", round, step, l.Number(), free[i])
					}
					held[l.Number()] = l
				}
			case 3:
				if lease != nil {
					if err := lease.Release(0); err != nil {
						fail("a release", err)
					}
					delete(held, number)
				}
			case 4:
				if lease != nil && random.IntN(2) == 0 {
					if err := lease.Ack(); err != nil {
						fail("an acknowledgement", err)
					}
					out(number)
				}
			case 5:
				if random.IntN(8) == 0 {
					if err := s.Commit(t.Context(), &store.Tx{Remove: []store.Ref{{At: "in.a", Number: number}}}); err != nil {
						fail("a removal", err)
					}
					out(number)
				}
			}
		}
		appendFrames(20)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		clear(held)
	}
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for len(numbers) > 0 {
		got, err := s.Pull(t.Context(), "in.a", 50)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range got {
			if l.Number() != numbers[i] {
				t.Fatalf("at the end, pulled %d; expected %d", l.Number(), numbers[i])
			}
		}
		numbers = numbers[len(got):]
	}
	if n := s.byName["in.a"].frames; n == 0 {
		t.Error("the frames are not counted")
	}
}

// TestTakeWhileOthersPull: of frames that are leased by number and in order at the same
// time, each is acknowledged once and none is left.
func TestTakeWhileOthersPull(t *testing.T) {
	const all = 2000
	s, first := reopened(t, Config{Dir: t.TempDir()}, all, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	acked := map[uint64]bool{}
	decide := func(l store.Lease) error {
		if rand.IntN(3) == 0 {
			return l.Release(0)
		}
		if err := l.Ack(); err != nil {
			return fmt.Errorf("acknowledge frame %d: %w", l.Number(), err)
		}
		mu.Lock()
		defer mu.Unlock()
		if acked[l.Number()] {
			return fmt.Errorf("frame %d was acknowledged twice", l.Number())
		}
		if acked[l.Number()] = true; len(acked) == all {
			cancel()
		}
		return nil
	}
	var g errgroup.Group
	for range 2 {
		g.Go(func() error {
			for {
				leases, err := s.Pull(ctx, "in.a", 3)
				if ctx.Err() != nil {
					return nil
				}
				for _, l := range leases {
					err = errors.Join(err, decide(l))
				}
				if err != nil {
					cancel()
					return err
				}
			}
		})
		g.Go(func() error {
			for ctx.Err() == nil {
				leases, err := s.Take([]store.Ref{{At: "in.a", Number: first + rand.Uint64N(all)}})
				if err == nil && leases[0] != nil {
					err = decide(leases[0])
				}
				if err != nil {
					cancel()
					return err
				}
			}
			return nil
		})
	}
	limit := time.AfterFunc(time.Minute, cancel)
	defer limit.Stop()
	if err := g.Wait(); err != nil || len(acked) != all {
		t.Errorf("%d of %d frames were acknowledged, %v", len(acked), all, err)
	}
}
