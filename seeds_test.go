package pumpkin_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin"
	"github.com/recap/pumpkin/internal/testenv"
)

// TestMistakes of a program are told when it starts.
func TestMistakes(t *testing.T) {
	hello := func() string { return "hello" }
	take := func(string) {}
	for name, c := range map[string]struct {
		make func()
		says string
	}{
		"contract":    {func() { pumpkin.Inject("no contract", hello) }, "no contract"},
		"form":        {func() { pumpkin.Transform("T:A ->", greet) }, "does not fit"},
		"two outputs": {func() { pumpkin.Inject("-> T:A | T:B", hello) }, "NewSeed takes any"},
		"name":        {func() { pumpkin.Inject("-> T:A", hello).Named("no name") }, "no name"},
		"group":       {func() { pumpkin.Inject("-> T:A", hello).Group("no group") }, "no group"},
		"one name": {func() {
			pumpkin.New(pumpkin.Config{}, pumpkin.Extract("T:A ->", take), pumpkin.Extract("T:A ->", take))
		}, "two seeds"},
		"once, taking": {func() { pumpkin.New(pumpkin.Config{}, pumpkin.Extract("T:A ->", take).Once()) }, "Once is for injectors"},
		"once, again":  {func() { pumpkin.Main(pumpkin.Inject("-> T:A", hello).Once().Every(time.Hour)) }, "Once is for injectors"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if said, _ := recover().(string); !strings.HasPrefix(said, "pumpkin: ") || !strings.Contains(said, c.says) {
					t.Errorf("panic %q; expected one about %q", said, c.says)
				}
			}()
			c.make()
		})
	}
}

// TestForms sends data through every form of an argument and a result.
func TestForms(t *testing.T) {
	type pair struct{ A, B int }
	seed, got := into("T:END")
	n, end := running(t, pumpkin.Config{}, seed,
		pumpkin.Transform("T:JSON -> T:BYTES", func(p pair) []byte { return []byte{byte(p.A), byte(p.B), 0xff} }).Named("bytes"),
		pumpkin.Transform("T:BYTES -> T:OUTPUT", func(b []byte) pumpkin.Output { return pumpkin.Output{Data: string(b[:2])} }).Named("output"),
		pumpkin.Transform("T:OUTPUT -> T:END", func(s string) pair { return pair{int(s[0]), int(s[1])} }).Named("json"),
		pumpkin.Extract("Error:bytes ->", func(data string) { t.Errorf("failed: %s", data) }).Named("errors"),
	)
	send(t, n, "T:JSON", `{"A": 3, "B": 4}`)
	if data := receive(t, got); data != `{"A":3,"B":4}` {
		t.Error(data)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestOptions has a seed fail, panic and run out of time, as often as it says.
func TestOptions(t *testing.T) {
	var runs, atOnce, most atomic.Int32
	work := func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
		runs.Add(1)
		now := atOnce.Add(1)
		defer atOnce.Add(-1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		<-time.After(20 * time.Millisecond) // long enough to meet the other's
		if in.Data == "panic" {
			panic("on purpose")
		}
		return errors.New("on purpose")
	}
	// A function that exceeds its time-out is left behind, perhaps beside the next run.
	hang := func(ctx context.Context, _ pumpkin.Packet, _ pumpkin.Emit) error {
		runs.Add(1)
		<-ctx.Done()
		return ctx.Err()
	}
	seed, got := into("Error:work | Error:hang")
	n, end := running(t, pumpkin.Config{}, seed,
		pumpkin.NewSeed("T:A ->", work).Named("work").Retries(2).Workers(1),
		pumpkin.NewSeed("T:B ->", hang).Named("hang").Retries(2).Timeout(20*time.Millisecond))
	send(t, n, "T:A", "panic")
	send(t, n, "T:A", "fail")
	send(t, n, "T:B", "hang")
	for range 3 {
		receive(t, got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if runs.Load() != 9 || most.Load() != 1 {
		t.Errorf("%d runs, %d at a time; expected 3 for each of 3 packets, one at a time", runs.Load(), most.Load())
	}
}

// TestOnce starts a program with its data folder until it says that the injector has ended.
// That may take more than one start: one that is cut off before its end was written down runs
// again.
func TestOnce(t *testing.T) {
	cfg := pumpkin.Config{Data: t.TempDir()}
	var runs atomic.Int32
	for range 20 {
		var log testenv.Journal
		cfg.Log = log.Log()
		before := runs.Load()
		seed, got := into("T:A")
		n, end := running(t, cfg, seed, pumpkin.Inject("-> T:A", func() string { runs.Add(1); return "once" }).Named("first").Once())
		ended := func() bool { return log.Count("injector first says pmk-once and ended") > 0 }
		testenv.Eventually(t, within, "the injector gives its packet, or has ended", func() bool { return len(got) > 0 || ended() })
		send(t, n, "T:A", "the node runs")
		if err := end(); err != nil {
			t.Error(err)
		}
		if !ended() {
			continue
		}
		if again := runs.Load() - before; again != 0 || before == 0 {
			t.Errorf("it ran %d times, and %d times after it had ended", before, again)
		}
		return
	}
	t.Fatalf("it ran %d times", runs.Load())
}

// TestGroup leaves a seed of another group out, and says so.
func TestGroup(t *testing.T) {
	var log testenv.Journal
	seed, _ := into("T:A")
	n, end := running(t, pumpkin.Config{Log: log.Log()}, seed.Group("other"))
	send(t, n, "T:A", "waits")
	if log.Count("seed into is left out: it belongs to the group other") == 0 {
		t.Errorf("the log: %s", log.String())
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestCompiledIn asks a program with seeds for what it is made of. No node runs.
func TestCompiledIn(t *testing.T) {
	for args, want := range map[string]string{
		"check": "String:GREETING is produced by greet and accepted by no seed",
		"check examples/helloworld/python/extract.py": "3 seeds, nothing found",
		"graph":                                 "greet",
		"plan String:UNGREETED String:GREETING": "--greet-->",
		"plan String:UNGREETED String:GREETING --node nobody": "no node nobody",
	} {
		if out := runProgram("hello", strings.Fields(args)...); !strings.Contains(out, want) {
			t.Errorf("%s says %q; expected %q", args, out, want)
		}
	}
	if out := runProgram("stock", "graph"); !strings.Contains(out, "no node of the group default runs") {
		t.Errorf("pmk graph says %q", out)
	}
}
