package bench

import (
	"os"
	"testing"
	"time"
)

// TestOver measures over two nodes and over three, for a short while.
func TestOver(t *testing.T) {
	other := asNode(t, "other")
	t.Chdir(t.TempDir())
	for nodes, names := range map[int][]string{
		2: {"chain.disk.two", "chain.disk.two.fsync.p50", "latency.disk.two.p50", "latency.disk.two.p99", "latency.disk.two.fsync.p50"},
		3: {"replicas.one", "replicas", "replicas.times", "replicas.mix", "replicas.mix.ideal", "replicas.mix.of.ideal"},
	} {
		all, err := Over(nodes, other)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, b := range all {
			results, err := b.Run(t.Context(), Env{For: 200 * time.Millisecond})
			if err != nil {
				t.Fatalf("%s: %v", b.Name, err)
			}
			for _, r := range results {
				got[r.Name] = r.Value > 0
			}
		}
		for _, name := range names {
			if !got[name] {
				t.Errorf("over %d nodes, %s is not measured: %v", nodes, name, got)
			}
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, nodes := range []int{-1, 0, 1, mostNodes + 1} {
		if _, err := Over(nodes, other); err == nil {
			t.Errorf("%d nodes were taken", nodes)
		}
	}
}
