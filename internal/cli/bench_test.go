package cli

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/bench"
	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

func TestMain(m *testing.M) {
	supervise.Main()
	os.Exit(m.Run())
}

// stock are the hello world seeds, as cmd/pmk has them.
func stock() Program {
	goSeed := func(name, contract string, fn gofn.Func) GoSeed {
		c, err := seed.ParseContract(contract)
		if err != nil {
			panic(err)
		}
		return GoSeed{seed.Manifest{Name: seed.Name(name), Kind: seed.Go, Contract: c, Retries: seed.DefaultRetries}, fn}
	}
	return Program{Stock: true, Seeds: []GoSeed{
		goSeed("inject", "-> String:UNGREETED", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error { return emit("", "World") }),
		goSeed("greet", "String:UNGREETED -> String:GREETING", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			return emit("", "Hello "+in.Data)
		}),
		goSeed("extract", "String:GREETING ->", func(_ context.Context, in packet.Packet, _ gofn.Emit) error {
			fmt.Println("Greeting:", in.Data)
			return nil
		}),
	}}
}

// BenchmarkBench runs the measurements of pmk bench, but for the start of the
// binary, as Go benchmarks: their figures stand under their own names.
func BenchmarkBench(b *testing.B) {
	env := bench.Env{Kinds: stock().kinds(), Load: load.File, For: 500 * time.Millisecond}
	for _, one := range bench.All() {
		if one.Name == "start" {
			continue // for the built binary
		}
		b.Run(one.Name, func(b *testing.B) {
			for b.Loop() {
				results, err := one.Run(b.Context(), env)
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range results {
					b.ReportMetric(r.Value, r.Name)
				}
			}
		})
	}
}

// Every measurement runs, and each of its results is there.
func TestBench(t *testing.T) {
	env := bench.Env{Kinds: stock().kinds(), Load: load.File, For: 200 * time.Millisecond}
	for _, one := range bench.All() {
		if one.Name == "start" {
			continue
		}
		results, err := one.Run(t.Context(), env)
		if err != nil {
			t.Errorf("%s: %v", one.Name, err)
		}
		for _, r := range results {
			if r.Value <= 0 {
				t.Errorf("%s is %v %s", r.Name, r.Value, r.Unit)
			}
		}
	}
}
