package bench

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkChain is the throughput of the chain in Go seeds; its figure is
// packets/s.
func BenchmarkChain(b *testing.B) {
	env := Env{For: 500 * time.Millisecond}
	for b.Loop() {
		rate, err := throughput(b.Context(), env, transform())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rate, "packets/s")
	}
}

// BenchmarkChannels is the same work over bare channels.
func BenchmarkChannels(b *testing.B) {
	env := Env{For: 500 * time.Millisecond}
	for b.Loop() {
		rate, err := channels(b.Context(), env)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rate, "packets/s")
	}
}

func TestChainCountsEveryPacket(t *testing.T) {
	env := Env{For: 200 * time.Millisecond}
	results, err := chainNone(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Value <= 0 {
			t.Errorf("%s = %v %s", r.Name, r.Value, r.Unit)
		}
	}
}

func TestLatencyArrives(t *testing.T) {
	env := Env{For: 200 * time.Millisecond}
	results, err := latencyNone(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Value <= 0 {
			t.Errorf("%s = %v %s", r.Name, r.Value, r.Unit)
		}
	}
}

// TestDisk runs the measurements on disk for a short while; each counts its packets.
func TestDisk(t *testing.T) {
	t.Chdir(t.TempDir())
	picked, err := Select(All(), []string{"chain.disk", "latency.disk", "ingest.http", "ingest.files"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, b := range picked {
		results, err := b.Run(t.Context(), Env{For: 200 * time.Millisecond})
		if err != nil {
			t.Errorf("%s: %v", b.Name, err)
		}
		for _, r := range results {
			got[r.Name] = r.Value > 0
		}
	}
	for _, name := range []string{
		"chain.disk", "chain.disk.fsync.p50", "chain.disk.many", "chain.disk.many.fsync.p50",
		"latency.disk.p50", "latency.disk.p99", "latency.disk.fsync.p50",
		"ingest.files", "ingest.files.memory", "ingest.files.fsync.p50",
		"ingest.http", "ingest.http.p99", "ingest.http.bare", "ingest.http.fsync.p50",
	} {
		if !got[name] {
			t.Errorf("%s is not measured: %v", name, got)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestIngestRefused: a client whose packet is refused ends the measurement and says why.
func TestIngestRefused(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no room", http.StatusServiceUnavailable) })
	var sent atomic.Int64
	_, _, err := postAll(t.Context(), Env{For: 200 * time.Millisecond}, handler, &sent)
	if err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "no room") || sent.Load() != 0 {
		t.Errorf("%d packets counted, %v", sent.Load(), err)
	}
}

func TestSelect(t *testing.T) {
	picked, err := Select(All(), []string{"latency"})
	if err != nil || len(picked) != 3 {
		t.Errorf("latency stands for %d benchmarks, %v", len(picked), err)
	}
	picked, err = Select(All(), []string{"latency", "latency.none"})
	if err != nil || len(picked) != 3 {
		t.Errorf("what is named twice stands for %d benchmarks, %v", len(picked), err)
	}
	if _, err := Select(All(), []string{"chian"}); err == nil {
		t.Error("an unknown name was taken")
	}
}

func BenchmarkDisk(b *testing.B) {
	for range b.N {
		results, err := chainDisk(b.Context(), Env{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(results[0].Value, "packets/s")
	}
}
