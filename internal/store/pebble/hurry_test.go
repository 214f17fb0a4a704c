package pebble_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// TestHurry has one of several delayed frames go before its time, in the same process and
// in the next.
func TestHurry(t *testing.T) {
	cfg := pebble.Config{Dir: t.TempDir()}
	s, err := pebble.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	const total = 200
	for i := range total {
		for _, to := range []store.Queue{"in.a", "in.b"} {
			tx := &store.Tx{Append: []store.Append{{To: to, Frame: store.Frame{Data: fmt.Append(nil, i), Packets: 1, After: time.Hour}}}}
			if err := s.Commit(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
		}
	}
	hurry := func(name string) {
		t.Helper()
		n, err := s.Hurry(t.Context(), "in.a", func(data []byte) bool { return string(data) == name })
		if n != 1 || err != nil {
			t.Errorf("%d frames go before their time, %v; expected one", n, err)
		}
		leases, err := s.Pull(t.Context(), "in.a", 2)
		if err != nil || len(leases) != 1 || string(leases[0].Data()) != name {
			t.Fatalf("leased are %d, %v", len(leases), err)
		}
		if err := leases[0].Ack(); err != nil {
			t.Error(err)
		}
	}
	hurry("7")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = pebble.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hurry("8")
	n, err := s.Hurry(t.Context(), "in.a", func([]byte) bool { return true })
	if n != total-2 || err != nil {
		t.Errorf("%d frames go before their time, %v; expected the other %d", n, err, total-2)
	}
	for left := total - 2; left > 0; {
		leases, err := s.Pull(t.Context(), "in.a", left+1)
		if err != nil {
			t.Fatal(err)
		}
		left -= len(leases)
	}
	within, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if leases, err := s.Pull(within, "in.b", 1); err == nil {
		t.Errorf("%d frames of the other queue can be leased", len(leases))
	}
}
