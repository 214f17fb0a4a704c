package bench

import (
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

func TestSelect(t *testing.T) {
	picked, err := Select(All(), []string{"latency"})
	if err != nil || len(picked) != 3 {
		t.Errorf("latency stands for %d benchmarks, %v", len(picked), err)
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
