package pebble_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// TestTake leases frames by their numbers, wherever they are: in memory or not, never
// leased, or released. All others come in their order.
func TestTake(t *testing.T) {
	dir := t.TempDir()
	open := func() *pebble.Store {
		t.Helper()
		s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const all = 200
	s := open()
	for i := range all {
		// Large ones, so that not all of them are read at a time.
		f := store.Frame{Data: []byte(fmt.Sprintf("%d:%s", i, strings.Repeat("x", 16<<10))), Packets: 1}
		if err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: "in.a", Frame: f}}}); err != nil {
			t.Fatal(err)
		}
	}
	leases, err := s.Pull(t.Context(), "in.a", 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := leases[1].Release(0); err != nil {
		t.Fatal(err)
	}
	number := func(i int) uint64 { return leases[0].Number() + uint64(i) }
	took := func(i ...int) (out []string) {
		t.Helper()
		refs := []store.Ref{{At: "in.other", Number: 1}, {At: "in.a", Number: number(all)}}
		for _, i := range i {
			refs = append(refs, store.Ref{At: "in.a", Number: number(i)})
		}
		got, err := s.Take(refs)
		if err != nil || got[0] != nil || got[1] != nil {
			t.Fatalf("%v, %v", got, err)
		}
		for _, l := range got[2:] {
			if l == nil {
				out = append(out, "none")
				continue
			}
			data, _, _ := strings.Cut(string(l.Data()), ":")
			out = append(out, fmt.Sprintf("%s delivered %d", data, l.Deliveries()))
		}
		return out
	}
	// 0 and 2 are leased, 1 was, and 150 is not in memory.
	if got, want := took(0, 1, 150, 150, 3), []string{"none", "1 delivered 2", "150 delivered 1", "none", "3 delivered 1"}; !slices.Equal(got, want) {
		t.Errorf("leased were %q; expected %q", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	if got, want := took(150, 2, 199), []string{"150 delivered 2", "2 delivered 2", "199 delivered 1"}; !slices.Equal(got, want) {
		t.Errorf("after a start, leased were %q; expected %q", got, want)
	}
	var rest []string
	for len(rest) < all-3 {
		leases, err := s.Pull(t.Context(), "in.a", 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leases {
			data, _, _ := strings.Cut(string(l.Data()), ":")
			rest = append(rest, data)
			if err := l.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, data := range rest {
		if want := i; i >= 149 {
			want += 2
			if data != fmt.Sprint(want) {
				t.Fatalf("frame %s comes at place %d", data, i)
			}
		} else if i >= 2 && data != fmt.Sprint(want+1) {
			t.Fatalf("frame %s comes at place %d", data, i)
		}
	}
}
