package pebble_test

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// TestOnlyBegunCounts has processes die that had leased a frame: all that only
// had it count once, those that had begun count each, and one that gave it back
// does not.
func TestOnlyBegunCounts(t *testing.T) {
	fs := vfs.NewCrashableMem()
	if err := fs.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	if root, err := fs.OpenDir("/"); err != nil || errors.Join(root.Sync(), root.Close()) != nil {
		t.Fatal("the folder of the store cannot be synced: ", err)
	}
	made := false
	// live has a process lease the frame and die, or end well.
	live := func(want int, begin, release, well bool) {
		t.Helper()
		s, err := pebble.Open(t.Context(), pebble.Config{Dir: "/data", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if !made {
			made = true
			tx := &store.Tx{Append: []store.Append{{To: "in.a", Frame: store.Frame{Data: []byte("x"), Packets: 1}}}, Durable: true}
			if err := s.Commit(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
		}
		leases, err := s.Pull(t.Context(), "in.a", 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := leases[0].Deliveries(); got != want {
			t.Errorf("%d deliveries; expected %d", got, want)
		}
		if begin {
			if err := s.Begin(t.Context(), leases); err != nil {
				t.Fatal(err)
			}
		}
		if release {
			if err := leases[0].Release(0); err != nil {
				t.Fatal(err)
			}
		}
		if !well {
			// What was leased goes along with any commit.
			record := store.Record{Key: store.Key{In: "any", Key: "key"}, Value: []byte("value")}
			if err := s.Commit(t.Context(), &store.Tx{Put: []store.Record{record}, Durable: true}); err != nil {
				t.Fatal(err)
			}
			next := fs.CrashClone(vfs.CrashCloneCfg{})
			defer func() { fs = next }()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	live(1, false, false, false)
	live(2, false, false, false)
	live(2, false, false, true)
	live(2, true, false, false)
	live(3, true, false, false)
	live(4, false, false, false)
	live(4, true, true, false)
	live(4, true, false, true)
	live(4, true, false, false)
	live(5, false, false, true)
}
