package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestAttributesAreInherited lets them go through seeds that set some, change
// some or know nothing of them.
func TestAttributesAreInherited(t *testing.T) {
	w := newWorld(t)
	var end basket
	w.host(
		w.seed("inject", "-> A:A", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
			return errors.Join(emit("", "1", packet.Attributes{"sample": "S07", "lane": "1"}), emit("", "2"))
		}),
		w.seed("pass", "A:A -> B:B", give("")),
		w.seed("set", "B:B -> C:C", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			set := packet.Attributes{"lane": "2"}
			err := emit("", in.Data+"a", set)
			set["lane"] = "3" // the node has its own
			return errors.Join(err, emit("", in.Data+"b", set), emit("", in.Data+"c", set), emit("", in.Data+"d"))
		}),
		w.seed("end", "C:C ->", end.run))
	w.start()
	testenv.Eventually(t, 10*time.Second, "all are there", func() bool { return end.count() == 8 })
	w.drain()
	for _, p := range end.got {
		var want packet.Attributes
		switch p.Data {
		case "1a":
			want = packet.Attributes{"sample": "S07", "lane": "2"}
		case "1b", "1c":
			want = packet.Attributes{"sample": "S07", "lane": "3"}
		case "1d":
			want = packet.Attributes{"sample": "S07", "lane": "1"}
		case "2a":
			want = packet.Attributes{"lane": "2"}
		case "2b", "2c":
			want = packet.Attributes{"lane": "3"}
		}
		if got := p.Attributes(); len(got) != len(want) || got["sample"] != want["sample"] || got["lane"] != want["lane"] {
			t.Errorf("the packet %s has %v, want %v", p.Data, got, want)
		}
	}
}

// TestAttributesThatBreakARule fail the run that sets them.
func TestAttributesThatBreakARule(t *testing.T) {
	w := newWorld(t)
	var end, failed basket
	w.host(
		w.seed("set", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			return emit("", "x", packet.Attributes{in.Data: strings.Repeat("v", 10_000)})
		}),
		w.seed("more", "B:B -> C:C", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			return emit("", "x", packet.Attributes{"more": strings.Repeat("v", 10_000)})
		}),
		w.seed("end", "C:C ->", end.run), w.seed("failed", "Error:set | Error:more ->", failed.run))
	w.start()
	w.inject("A:A", "Sample", nil)
	w.inject("A:A", "sample", nil)
	w.drain()
	end.want(t)
	failed.want(t, "Sample", "x")
	for _, p := range failed.got {
		want := `the attribute's name "Sample"`
		if p.Data == "x" {
			want = "at most 16384 are allowed"
		}
		if !strings.Contains(p.Fault.Error, want) {
			t.Errorf("the fault of %s is %q, want %q", p.Data, p.Fault.Error, want)
		}
	}
}

// TestRetryRaisesTheRound: attempts give the same ids, a retry by hand others.
func TestRetryRaisesTheRound(t *testing.T) {
	w := newStoredWorld(t, inMemory(t, pebble.Config{}), Memory)
	var mended atomic.Bool
	var end basket
	half := w.seed("half", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		if err := emit("", in.Data); err != nil || mended.Load() {
			return err
		}
		return errors.New("no such galaxy")
	})
	half.Retries, half.Version = 1, ""
	w.host(half, w.seed("end", "B:B ->", end.run))
	w.start()
	root := packet.HashID("root")
	p := packet.Packet{ID: root, State: "A:A", Data: "x", Extra: &packet.Extra{Attributes: packet.Attributes{"sample": "S07"}}}
	if err := w.Inject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, "it has failed", func() bool { return len(shown(w, "Error:half")) == 1 })
	mended.Store(true)
	if n, err := w.Retry(t.Context(), Selection{IDs: []packet.ID{root}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	w.drain()
	if end.count() != 3 {
		t.Fatalf("%d outputs; expected one of each attempt, and one of the retry", end.count())
	}
	key := packet.KeyOf("half")
	first, again := packet.RunID(key, 0, root).Output(0), packet.RunID(key, 1, root).Output(0)
	ids := map[packet.ID]int{}
	for _, p := range end.got {
		ids[p.ID]++
		if p.Round() != 0 || p.Attributes()["sample"] != "S07" {
			t.Errorf("an output has %+v", p.Extra)
		}
	}
	if ids[first] != 2 || ids[again] != 1 {
		t.Errorf("the ids are %v; expected %s twice and %s once", ids, first, again)
	}
}

// TestHopsNameTheVersion of the seed.
func TestHopsNameTheVersion(t *testing.T) {
	w := newWorld(t)
	var end basket
	pass := w.seed("pass", "A:A -> B:B", give(""))
	w.fns["pass2f0e11"] = w.fns["pass"]
	pass.Version = "2f0e11"
	w.host(pass, w.seed("end", "B:B ->", end.run))
	w.start()
	w.inject("A:A", "1", nil)
	w.inject("A:A", "2", &packet.Wish{Track: true})
	w.drain()
	for _, p := range end.got {
		if p.Trail.Version != "2f0e11" {
			t.Errorf("the hop of %s is %+v", p.Data, p.Trail)
		}
	}
	if end.count() != 2 {
		t.Errorf("%d of 2 arrived", end.count())
	}
}

// TestInjectorRuns have ids of the seed, its version and, with pmk-every, when
// they were due, with pmk-once nothing more, else the node's start and how many have failed.
func TestInjectorRuns(t *testing.T) {
	due := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	host := func(version string, once bool, every time.Duration) *host {
		m := newWorld(t).seed("inject", "-> A:A", nil)
		m.Version, m.Once, m.Every = version, once, every
		return newHost(m, runner.Traits{}, nil)
	}
	plain := host("1", false, 0).injection("run", due, 0)
	once := host("1", true, 0).injection("run", due, 0)
	every := host("1", false, time.Hour).injection("run", due, 0)
	for what, same := range map[string]bool{
		"another time":                plain == host("1", false, 0).injection("run", due.Add(1), 0),
		"another start, once":         once == host("1", true, 0).injection("other", due.Add(1), 0),
		"another start, every":        every == host("1", false, time.Hour).injection("other", due.In(time.FixedZone("", 3600)), 0),
		"not another start":           plain != host("1", false, 0).injection("other", due, 0),
		"not after a failure":         plain != host("1", false, 0).injection("run", due, 1),
		"after a failure, once":       once == host("1", true, 0).injection("run", due, 1),
		"after a failure, every":      every == host("1", false, time.Hour).injection("run", due, 1),
		"not another version":         plain != host("2", false, 0).injection("run", due, 0),
		"not another version, once":   once != host("2", true, 0).injection("run", due, 0),
		"not another time, every":     every != host("1", false, time.Hour).injection("run", due.Add(1), 0),
		"not another version, every":  every != host("2", false, time.Hour).injection("run", due, 0),
		"once, every and plain apart": plain != once && once != every && every != plain,
	} {
		if !same {
			t.Errorf("the id is not as it should be: %s", what)
		}
	}
}
