package node

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// TestStatesCostNothingWhenTheyAreEmpty has a packet wait in each of 10,000 states and
// drops them: neither memory nor files stay for them.
func TestStatesCostNothingWhenTheyAreEmpty(t *testing.T) {
	const states = 10_000
	test := func(t *testing.T, r *rest) {
		w, _ := r.world(t)
		w.start()
		fill := func(round int) {
			t.Helper()
			in := w.Intake()
			var all Selection
			for i := range states {
				state := packet.State(fmt.Sprintf("R%d:S%d", round, i))
				all.States = append(all.States, state)
				if err := in.Put(t.Context(), packet.Packet{State: state, Data: "x"}); err != nil {
					t.Fatal(err)
				}
			}
			if err := in.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(w.Status(t.Context()).Waiting); got != states {
				t.Fatalf("packets wait in %d states; expected %d", got, states)
			}
			if n, err := w.Drop(t.Context(), all); n != states || err != nil {
				t.Fatalf("%d were dropped, %v", n, err)
			}
			if got := len(w.Status(t.Context()).Waiting); got != 0 {
				t.Errorf("nothing lies there, and %d states are shown", got)
			}
		}
		fill(0) // caches and pools have their size then
		heap, files := inUse(t)
		fill(1)
		heap2, files2 := inUse(t)
		if more := int64(heap2) - int64(heap); more > 10<<20 {
			t.Errorf("%d KiB of memory stay", more>>10)
		}
		if files2 > files+10 {
			t.Errorf("%d files are open; before there were %d", files2, files)
		}
	}
	// Not at the same time as others, whose memory would be counted.
	t.Run("memory", func(t *testing.T) {
		test(t, &rest{dir: t.TempDir(), d: Memory, mem: inMemory(t, pebble.Config{}), at: t.TempDir()})
	})
	t.Run("disk", func(t *testing.T) { test(t, &rest{dir: t.TempDir(), d: Disk, at: t.TempDir()}) })
}

// inUse is how many bytes of memory and how many files this process has.
func inUse(t *testing.T) (heap uint64, files int) {
	t.Helper()
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return m.HeapAlloc, len(fds)
}
