package jetstream

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/recap/pumpkin/internal/store"
)

// reopen reads the tally of a folder as the next process does.
func reopen(t *testing.T, path string, wantBroken int) *tally {
	t.Helper()
	tl, broken, err := openTally(path)
	if err == nil {
		err = tl.rewrite()
	}
	if err != nil || broken != wantBroken {
		t.Fatalf("%d lines are broken, %v; expected %d", broken, err, wantBroken)
	}
	t.Cleanup(func() { tl.close() })
	return tl
}

func TestTally(t *testing.T) {
	path := filepath.Join(t.TempDir(), tallyFile)
	tl := reopen(t, path, 0)
	a, b, c := key{"in.a", 1}, key{"in.a", 7}, key{"wait.B.B", 3}
	for range 3 {
		tl.lease(a)
	}
	tl.lease(b)
	tl.end(b)
	tl.lease(c)
	for range 2 { // as it was left, and as it was written anew
		tl = reopen(t, path, 0)
		if len(tl.count) != 2 || tl.count[a] != 3 || tl.count[c] != 1 || tl.highest["in.a"] != 7 {
			t.Fatalf("counts %v, highest %v", tl.count, tl.highest)
		}
	}
	tl.clear("in.a")
	if n := tl.lease(a); n != 1 {
		t.Errorf("the first frame after a clear was leased %d times", n)
	}
	if tl = reopen(t, path, 0); tl.count[a] != 1 || tl.highest["in.a"] != 1 {
		t.Errorf("after a clear: counts %v, highest %v", tl.count, tl.highest)
	}
}

// TestTallyStaysSmall notes a million lines' worth of leases that end.
func TestTallyStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), tallyFile)
	tl := reopen(t, path, 0)
	for i := range uint64(100_000) {
		k := key{store.Place(fmt.Sprintf("in.seed%d", i%10)), i}
		tl.lease(k)
		if i%1000 != 0 {
			tl.end(k)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2*tallySize {
		t.Fatalf("%v, %v", info.Size(), err)
	}
	if tl = reopen(t, path, 0); len(tl.count) != 100 {
		t.Errorf("%d frames are known; expected 100", len(tl.count))
	}
}

// TestTallyDamage turns a bit: that line is forgotten, and it is said. A line
// that was being written is no damage.
func TestTallyDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), tallyFile)
	tl := reopen(t, path, 0)
	tl.lease(key{"in.a", 1})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(data) - 1 {
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 1
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		if tl := reopen(t, path, 1); len(tl.count) != 0 {
			t.Errorf("byte %d: counts %v", i, tl.count)
		}
		if err := os.WriteFile(path, data[:i+1], 0o600); err != nil {
			t.Fatal(err)
		}
		reopen(t, path, 0)
	}
}
