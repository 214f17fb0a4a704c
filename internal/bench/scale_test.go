package bench

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func testScale(t *testing.T) Scale {
	t.Helper()
	return Scale{Command: asNode(t, "scale"), Dir: t.TempDir(), Backlog: 100_000, Packets: 5000, Seeds: []int{1, 10}, For: time.Nanosecond}
}

// TestScale measures everything at a small size.
func TestScale(t *testing.T) {
	s := testScale(t)
	results, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range results {
		got[r.Name] = r.Value > 0
	}
	for _, name := range []string{"scale.seeds.1", "scale.seeds.10", "scale.backlog.0", "scale.backlog.1e3", "scale.backlog.1e5", "scale.start", "scale.fsync.p50"} {
		if !got[name] {
			t.Errorf("%s is not measured: %v", name, results)
		}
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// TestScaleGivenUp ends the measurement while a backlog is made: the node and
// its folder are gone.
func TestScaleGivenUp(t *testing.T) {
	s := testScale(t)
	s.Only, s.Backlog = []string{"backlog"}, 1_000_000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Progress = func(text string) {
		if strings.HasPrefix(text, "making") {
			cancel()
		}
	}
	if _, err := s.Run(ctx); err == nil {
		t.Error("it went on")
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestScaleNeedsDisk(t *testing.T) {
	s := testScale(t)
	s.Backlog = 1 << 50
	if _, err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("a disk that is too small: %v", err)
	}
}
