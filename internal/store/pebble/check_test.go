package pebble_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// rounds is how often the store of [fillSome] is opened again: each time, what the
// log has goes into a table.
const rounds = 3

// fillSome makes a store in the folder that has something of everything, and gives
// its frames by queue and data.
func fillSome(t *testing.T, dir string) map[string]int {
	t.Helper()
	want := map[string]int{}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for round := range rounds {
		s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		tx := &store.Tx{}
		for i := range 300 {
			q := store.Queue(fmt.Sprintf("in.seed%d", i%3))
			data := make([]byte, 400) // which do not compress: several blocks
			for j := range data {
				data[j] = byte(random.Uint32())
			}
			f := store.Frame{Data: fmt.Appendf(data, "%d-%d", round, i), Packets: 1 + i%5}
			if i%50 == 0 {
				f.After = time.Hour
			}
			if i%7 == 0 {
				f.Blobs = []packet.Sum{{byte(round), byte(i)}}
			}
			tx.Append = append(tx.Append, store.Append{To: q, Frame: f})
			tx.Put = append(tx.Put, store.Record{Key: store.Key{In: "once", Key: fmt.Sprint(round, i)}, Value: []byte("value")})
			want[string(q)+" "+string(f.Data)]++
		}
		if err := s.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		leases, err := s.Pull(t.Context(), "in.seed1", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leases {
			if err := l.Ack(); err != nil {
				t.Fatal(err)
			}
			delete(want, "in.seed1 "+string(l.Data()))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

// read gives the frames that can be read, by queue and data.
func read(t *testing.T, dir string) (map[string]int, []pebble.Damage) {
	t.Helper()
	files, err := pebble.OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	if err := files.Frames(t.Context(), func(f pebble.Found) error {
		got[string(f.Queue)+" "+string(f.Data)]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	damage := files.Damage()
	if err := files.Close(); err != nil && len(damage) == 0 {
		t.Error(err)
	}
	return got, damage
}

func same(a, b map[string]int) bool {
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	want := fillSome(t, dir)
	seen := 0
	r, err := pebble.Check(t.Context(), dir, func(f pebble.Found) error {
		seen++
		if bytes.HasSuffix(f.Data, []byte("1-17")) {
			return fmt.Errorf("not as it should be")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Damage) != 1 || r.Damage[0].Queue != "in.seed2" || r.Damage[0].First == 0 || !strings.HasSuffix(r.Damage[0].String(), " of in.seed2: not as it should be") {
		t.Errorf("damage: %v", r.Damage)
	}
	if len(r.Queues) != 3 || seen != len(want) || r.Queues[0].Frames != 300 || r.Queues[1].Frames != 270 || r.Records != rounds*300 {
		t.Errorf("found %+v, %d records; %d frames were shown, expected %d", r.Queues, r.Records, seen, len(want))
	}
	got, damage := read(t, dir)
	if !same(got, want) || len(damage) > 0 {
		t.Errorf("%d frames can be read, expected %d; %v", len(got), len(want), damage)
	}
	if r, err := pebble.Check(t.Context(), t.TempDir(), nil); err != nil || len(r.Damage) > 0 || len(r.Queues) > 0 {
		t.Errorf("a folder without a store: %+v, %v", r, err)
	}
}

// TestCheckOfFlippedBits flips bits in all files of a store, one at a time: each is found,
// or does not matter, and most of the frames can be read, as they were.
func TestCheckOfFlippedBits(t *testing.T) {
	whole := t.TempDir()
	want := fillSome(t, whole)
	files, err := filepath.Glob(filepath.Join(whole, "store", "*"))
	if err != nil {
		t.Fatal(err)
	}
	flips := 12
	if testing.Short() {
		flips = 2
	}
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test
	kinds := map[string]int{}
	for _, path := range files {
		name := filepath.Base(path)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := int64(0)
		if filepath.Ext(name) == ".sst" {
			if blocks = blocksEnd(t, path); blocks < info.Size()*9/10 {
				t.Errorf("%s: of %d bytes only %d are of frames and records", name, info.Size(), blocks)
			}
		}
		for range flips {
			if info.Size() == 0 {
				break
			}
			at := random.Int64N(info.Size())
			bit := byte(1) << random.IntN(8)
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "store"), os.DirFS(filepath.Join(whole, "store"))); err != nil {
				t.Fatal(err)
			}
			flipBit(t, filepath.Join(dir, "store", name), at, bit)
			r, err := pebble.Check(t.Context(), dir, nil)
			if err != nil && len(r.Damage) == 0 {
				t.Errorf("%s, byte %d: %v", name, at, err)
			}
			got, damage := read(t, dir)
			kind := filepath.Ext(name)
			if kind == "" {
				kind, _, _ = strings.Cut(name, "-")
			}
			kinds[kind]++
			for f := range got {
				if want[f] == 0 && len(r.Damage) == 0 {
					t.Errorf("%s, byte %d: a frame that was never stored, or is gone, is there: %.40q", name, at, f)
				}
			}
			if len(r.Damage) == 0 && !same(got, want) {
				t.Errorf("%s, byte %d: %d of %d frames can be read, and no damage is reported", name, at, len(got), len(want))
			}
			// Without the index of a table and what comes after it, none of it can be read.
			index := kind == ".sst" && at >= blocks
			if len(got) < len(want)/2 && (kind == ".sst" && !index || kind == ".log") {
				t.Errorf("%s, byte %d: only %d of %d frames can be read; %v", name, at, len(got), len(want), damage)
			}
			if kind == ".sst" && !slices.ContainsFunc(r.Damage, func(d pebble.Damage) bool { return strings.HasSuffix(d.File, name) }) {
				t.Errorf("%s, byte %d: the file is not named: %v", name, at, r.Damage)
			}
		}
	}
	t.Log(kinds)
}

// blocksEnd is where the index of a table begins, behind all blocks of keys and values.
func blocksEnd(t *testing.T, path string) (end int64) {
	t.Helper()
	file, err := vfs.Default.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sstable.NewReader(t.Context(), readable, sstable.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	layout, err := r.Layout()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range layout.Data {
		end = max(end, int64(h.Offset+h.Length+block.TrailerLen)) //nolint:gosec // in a small file
	}
	return end
}

func flipBit(t *testing.T, path string, at int64, bit byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= bit
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRemove takes frames out of the files, and what is counted is right after
// each step.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	want := fillSome(t, dir)
	for len(want) > 0 {
		files, err := pebble.OpenToMove(dir)
		if err != nil {
			t.Fatal(err)
		}
		var some []pebble.Found
		stop := fmt.Errorf("enough")
		if err := files.Frames(t.Context(), func(f pebble.Found) error {
			some = append(some, f)
			delete(want, string(f.Queue)+" "+string(f.Data))
			if len(some) == 200 {
				return stop
			}
			return nil
		}); err != nil && len(some) < 200 {
			t.Fatal(err)
		}
		if err := files.Remove(some, []store.Key{{In: "once", Key: fmt.Sprint(0, len(want)%300)}}); err != nil {
			t.Fatal(err)
		}
		if err := files.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := pebble.Check(t.Context(), dir, nil)
		if err != nil || len(r.Damage) > 0 {
			t.Fatalf("%v, %v", r.Damage, err)
		}
		if got, _ := read(t, dir); !same(got, want) {
			t.Fatalf("%d frames are left; expected %d", len(got), len(want))
		}
	}
	s, err := pebble.Open(context.Background(), pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if counts, err := s.Queues(t.Context()); err != nil || len(counts) > 0 {
		t.Errorf("%v, %v", counts, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
