package memory

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

const greet = store.Place("in.greet")

func mustAppend(t testing.TB, s *Store, data string) {
	t.Helper()
	if err := s.Append(t.Context(), greet, store.Frame{Data: []byte(data), Packets: 1}); err != nil {
		t.Fatal(err)
	}
}

func mustPull(t testing.TB, s *Store, most int, want ...string) []store.Lease {
	t.Helper()
	leases, err := s.Pull(t.Context(), greet, most)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range leases {
		got = append(got, string(l.Data()))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("pulled %q; expected %q", got, want)
	}
	return leases
}

// TestReleaseTimes holds delays to the clock: no frame comes before it is due,
// and each comes the moment that it is.
func TestReleaseTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		for _, d := range []string{"a", "b", "c"} {
			mustAppend(t, s, d)
		}
		start := time.Now()
		for i, l := range mustPull(t, s, 3, "a", "b", "c") {
			if err := l.Release([]time.Duration{3, 1, 2}[i] * time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []string{"b", "c", "a"} {
			l := mustPull(t, s, 3, want)[0]
			if after := time.Since(start); after != time.Duration(i+1)*time.Hour {
				t.Errorf("%s came after %v; expected %v", want, after, time.Duration(i+1)*time.Hour)
			}
			if err := l.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestWokenInVain has a pull that is woken and finds that another took what it
// was woken for: it waits on, and gets what comes next, even though the place
// was empty in between.
func TestWokenInVain(t *testing.T) {
	s := New(Config{})
	for range 200 {
		got := make(chan []store.Lease)
		go func() {
			leases, err := s.Pull(t.Context(), greet, 1)
			if err != nil {
				t.Error(err)
			}
			got <- leases
		}()
		for taken := 0; taken < 1; {
			mustAppend(t, s, "a")
			select {
			case leases := <-got:
				leases[0].Ack()
				taken++
			default:
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				if leases, err := s.Pull(ctx, greet, 1); err == nil {
					leases[0].Ack()
				}
				cancel()
			}
		}
	}
}

func TestForgetsEmptyPlaces(t *testing.T) {
	s := New(Config{})
	mustAppend(t, s, "a")
	mustAppend(t, s, "b")
	leases := mustPull(t, s, 2, "a", "b")
	leases[0].Ack()
	if err := s.Remove(t.Context(), greet, leases[1].Number()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Pull(ctx, greet, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if len(s.places) != 0 || s.used != 0 {
		t.Errorf("%d places and %d bytes are left", len(s.places), s.used)
	}
}

func TestNoRoomWithoutSize(t *testing.T) {
	s := New(Config{Size: 2 * frameCost, Reserve: 2 * frameCost})
	frame := store.Frame{Data: []byte("x"), Packets: 1}
	for i, want := range []error{nil, store.ErrFull} {
		if err := s.Append(t.Context(), greet, frame); !errors.Is(err, want) {
			t.Errorf("root %d: %v; expected %v", i, err, want)
		}
	}
	frame.Rank = store.Descendant
	for i, want := range []error{nil, nil, store.ErrFull} {
		if err := s.Append(t.Context(), greet, frame); !errors.Is(err, want) {
			t.Errorf("descendant %d: %v; expected %v", i, err, want)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	for _, size := range []int{200, 44 << 10} {
		frame := store.Frame{Data: make([]byte, size), Packets: 1}
		b.Run(fmt.Sprintf("append-pull-ack/%d", size), func(b *testing.B) {
			s := New(Config{Size: 1 << 30})
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Append(b.Context(), greet, frame); err != nil {
					b.Fatal(err)
				}
				leases, err := s.Pull(b.Context(), greet, 16)
				if err != nil {
					b.Fatal(err)
				}
				for _, l := range leases {
					l.Ack()
				}
			}
		})
	}
}
