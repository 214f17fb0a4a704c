package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

const greet = store.Place("in.greet")

func add(t *testing.T, s *Store, at store.Place, data string) {
	t.Helper()
	if err := s.Append(t.Context(), at, store.Frame{Data: []byte(data), Packets: 3}); err != nil {
		t.Fatal(err)
	}
}

func pullOne(t *testing.T, s *Store, at store.Place) store.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
	defer cancel()
	got, err := s.Pull(ctx, at, 1)
	if err != nil || len(got) != 1 {
		t.Fatalf("pull: %d leases, %v", len(got), err)
	}
	return got[0]
}

// empty holds the place to having nothing to lease.
func empty(t *testing.T, s *Store, at store.Place, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if got, err := s.Pull(ctx, at, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("pull from an empty place: %v, %v", got, err)
	}
}

func TestAppendPullAck(t *testing.T) {
	for _, memory := range []bool{false, true} {
		t.Run(fmt.Sprint("memory=", memory), func(t *testing.T) {
			s := open(t, Config{Memory: memory})
			empty(t, s, greet, 20*time.Millisecond)
			for i := range 5 {
				add(t, s, greet, fmt.Sprint("frame ", i))
			}
			add(t, s, "wait.Text.RAW", "waits")
			counts, err := s.Places(t.Context())
			if err != nil || len(counts) != 2 {
				t.Fatalf("places: %v, %v", counts, err)
			}
			if c := counts[0]; c.Place != greet || c.Frames != 5 || c.Packets != 15 || c.Bytes != 35 || time.Since(c.Since) > time.Minute {
				t.Errorf("count of %+v", c)
			}
			if used := s.State().Used; used != 40 {
				t.Errorf("used %d bytes; expected 40", used)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var numbers []uint64
			for len(numbers) < 5 {
				got, err := s.Pull(ctx, greet, 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range got {
					if want := fmt.Sprint("frame ", len(numbers)); string(l.Data()) != want || l.Deliveries() != 1 {
						t.Errorf("got %q, delivered %d times; expected %q", l.Data(), l.Deliveries(), want)
					}
					numbers = append(numbers, l.Number())
					if err := l.Ack(); err != nil {
						t.Error(err)
					}
				}
			}
			if counts, err = s.Places(t.Context()); err != nil || len(counts) != 1 || counts[0].Place != "wait.Text.RAW" {
				t.Errorf("after the acknowledgements: %v, %v", counts, err)
			}
			empty(t, s, greet, 20*time.Millisecond)
		})
	}
}

func TestPullWaits(t *testing.T) {
	s := open(t, Config{})
	for _, at := range []store.Place{greet, greet, "in.later"} {
		got := make(chan string)
		go func() {
			l := pullOne(t, s, at)
			if l.Deliveries() != 1 {
				t.Errorf("delivered %d times", l.Deliveries())
			}
			_ = l.Ack()
			got <- string(l.Data())
		}()
		time.Sleep(20 * time.Millisecond) // usually it waits by then; either way it is right
		add(t, s, at, "hello")
		if data := <-got; data != "hello" {
			t.Errorf("got %q", data)
		}
	}
}

func TestRelease(t *testing.T) {
	s := open(t, Config{})
	add(t, s, greet, "again")
	l := pullOne(t, s, greet)
	if err := l.Release(0); err != nil {
		t.Fatal(err)
	}
	l = pullOne(t, s, greet)
	if l.Deliveries() != 2 {
		t.Errorf("delivered %d times; expected 2", l.Deliveries())
	}
	const delay = 300 * time.Millisecond
	began := time.Now()
	if err := l.Release(delay); err != nil {
		t.Fatal(err)
	}
	l = pullOne(t, s, greet)
	if took := time.Since(began); took < delay || took > delay+time.Second {
		t.Errorf("came again after %v; expected %v", took, delay)
	}
	if err := l.Ack(); err != nil {
		t.Error(err)
	}
	if err := l.Ack(); err == nil {
		t.Error("a second acknowledgement is no error")
	}
}

// TestLateFrame gives up pulls just when frames arrive: none of them may be
// stuck.
func TestLateFrame(t *testing.T) {
	s := open(t, Config{Memory: true})
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan []store.Lease)
		go func() {
			ls, _ := s.Pull(ctx, greet, 1)
			got <- ls
		}()
		go func() {
			time.Sleep(time.Duration(i%30) * 10 * time.Microsecond)
			cancel()
		}()
		add(t, s, greet, fmt.Sprint(i))
		ls := <-got
		if len(ls) == 0 {
			began := time.Now()
			ls = []store.Lease{pullOne(t, s, greet)}
			if took := time.Since(began); took > time.Second {
				t.Fatalf("round %d: the frame came after %v", i, took)
			}
		}
		if string(ls[0].Data()) != fmt.Sprint(i) || ls[0].Deliveries() > 1 {
			t.Fatalf("round %d: got %q, delivered %d times", i, ls[0].Data(), ls[0].Deliveries())
		}
		if err := ls[0].Ack(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLookAndRemove(t *testing.T) {
	s := open(t, Config{})
	look := func() string {
		var all string
		if err := s.Look(t.Context(), greet, 0, func(r store.Resting) bool {
			all += fmt.Sprintf("%d %s,", r.Number, r.Data)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if got := look(); got != "" {
		t.Errorf("in a place that does not exist: %q", got)
	}
	for _, data := range []string{"a", "b", "c"} {
		add(t, s, greet, data)
	}
	l := pullOne(t, s, greet)
	if got := look(); got != "1 a,2 b,3 c," {
		t.Errorf("looked at %q", got)
	}
	for _, number := range []uint64{1, 2, 2, 99} {
		if err := s.Remove(t.Context(), greet, number); err != nil {
			t.Errorf("remove %d: %v", number, err)
		}
	}
	if err := s.Remove(t.Context(), "in.nowhere", 1); err != nil {
		t.Errorf("remove from nowhere: %v", err)
	}
	_ = l.Ack()
	if got := look(); got != "3 c," {
		t.Errorf("after the removals: %q", got)
	}
	if used := s.State().Used; used != 1 {
		t.Errorf("used %d bytes; expected 1", used)
	}
}

func TestOpenAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	for _, data := range []string{"a", "b"} {
		add(t, s, greet, data)
	}
	l := pullOne(t, s, greet)
	if err := pullOne(t, s, greet).Ack(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Dir: dir}); err == nil {
		t.Error("a second store on the folder opens")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Ack(); !errors.Is(err, ErrClosed) {
		t.Errorf("an acknowledgement after the end: %v", err)
	}
	if err := s.Append(t.Context(), greet, store.Frame{Data: []byte("x"), Packets: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("an append after the end: %v", err)
	}
	s = open(t, Config{Dir: dir})
	if used := s.State().Used; used != 1 {
		t.Errorf("used %d bytes; expected 1", used)
	}
	began := time.Now()
	l = pullOne(t, s, greet)
	if took := time.Since(began); string(l.Data()) != "a" || l.Deliveries() != 2 || took > time.Second {
		t.Errorf("got %q, delivered %d times, after %v", l.Data(), l.Deliveries(), took)
	}
	if d := s.State().Damage; len(d) > 0 {
		t.Errorf("damage %q", d)
	}
}

func TestFull(t *testing.T) {
	s := open(t, Config{Size: 100})
	data := make([]byte, 60)
	if err := s.Append(t.Context(), greet, store.Frame{Data: data, Packets: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), greet, store.Frame{Data: data, Packets: 1}); !errors.Is(err, store.ErrFull) {
		t.Errorf("a root over the size: %v", err)
	}
	if err := s.Append(t.Context(), greet, store.Frame{Data: data, Packets: 1, Rank: store.Descendant}); err != nil {
		t.Errorf("a descendant in the reserve: %v", err)
	}
	for range 2 {
		if err := pullOne(t, s, greet).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(t.Context(), greet, store.Frame{Data: data, Packets: 1}); err != nil {
		t.Errorf("a root once there is room: %v", err)
	}
}
