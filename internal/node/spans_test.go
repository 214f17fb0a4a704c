package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/spans"
	"github.com/recap/pumpkin/internal/spans/spanstest"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// spansTo opens the tracer of a node for the receiver.
func spansTo(t *testing.T, r *spanstest.Receiver, node string, log *slog.Logger) *spans.Tracer {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	tracer, err := spans.Open(t.Context(), spans.Config{Node: node, Env: os.Getenv, Log: log})
	if err != nil || tracer == nil {
		t.Fatal(tracer, err)
	}
	t.Cleanup(tracer.Close)
	return tracer
}

// TestSpansOverTwoNodes has a packet's family run on two nodes: its spans are one
// tree, below that of the sender.
func TestSpansOverTwoNodes(t *testing.T) {
	r := spanstest.Receive(t)
	c := newCircle(t)
	a, b := c.node("a", Memory), c.node("b", Memory)
	a.cfg.Tracer, b.cfg.Tracer = spansTo(t, r, "a", slog.New(slog.DiscardHandler)), spansTo(t, r, "b", slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	seen := map[string]string{} // by seed, what the run was told
	told := func(seed string, in packet.Packet) {
		mu.Lock()
		defer mu.Unlock()
		seen[seed] = in.Wish.Trace.String()
	}
	a.host(a.seed("split", "T:A -> T:B | T:D", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		told("split", in)
		return errors.Join(emit("B", "b"), emit("D", "d"))
	}), a.seed("end", "T:C ->", func(_ context.Context, in packet.Packet, _ gofn.Emit) error { told("end", in); return nil }))
	work := b.seed("work", "T:B -> T:C", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		told("work", in)
		if in.Attempt == 0 {
			return errors.New("boom")
		}
		return emit("", "c")
	})
	work.Retries = 1
	b.host(work)
	c.meet(a, b)

	sender, err := packet.ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err != nil {
		t.Fatal(err)
	}
	a.inject("T:A", "", &packet.Wish{Trace: sender})
	var got []spanstest.Span
	defer func() {
		if t.Failed() {
			t.Logf("%+v", r.Spans())
		}
	}()
	testenv.Eventually(t, 20*time.Second, "five spans came", func() bool { got = r.Spans(); return len(got) >= 5 })
	if len(got) != 5 {
		t.Fatalf("%d spans: %+v", len(got), got)
	}
	by := map[string]spanstest.Span{}
	for _, s := range got {
		if s.Trace != "0af7651916cd43dd8448eb211c80319c" || s.Service != "pumpkin" || s.End < s.Begin {
			t.Errorf("a span is %+v", s)
		}
		if s.Failed != "" {
			s.Name += " failed"
		}
		by[s.Name] = s
	}
	for name, parent := range map[string]string{"send T:A": "b7ad6b7169203331", "split": by["send T:A"].ID, "work failed": by["split"].ID, "work": by["split"].ID, "end": by["work"].ID} {
		if by[name].Parent != parent || parent == "" {
			t.Errorf("the parent of %s is %q, expected %q; all are %+v", name, by[name].Parent, parent, got)
		}
	}
	for name, want := range map[string]map[string]string{
		"split":       {"pumpkin.node": "a", "pumpkin.state.in": "T:A", "pumpkin.result": "gave"},
		"work failed": {"pumpkin.node": "b", "pumpkin.state.in": "T:B", "pumpkin.result": "failed"},
		"end":         {"pumpkin.node": "a", "pumpkin.result": "ended"},
	} {
		for key, value := range want {
			if by[name].Attributes[key] != value {
				t.Errorf("%s of %s is %q, expected %q", key, name, by[name].Attributes[key], value)
			}
		}
	}
	if out := by["split"].Attributes["pumpkin.state.out"]; !strings.Contains(out, "T:B") || !strings.Contains(out, "T:D") {
		t.Errorf("the states out of split are %q", out)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"split", "work", "end"} {
		if s := by[name]; seen[name] != "00-"+s.Trace+"-"+s.ID+"-01" {
			t.Errorf("%s was told %s, and its span is %+v", name, seen[name], s)
		}
	}
}

// TestSpansOfInjectors has each of an injector's packets be a trace of its own,
// of the ship's id.
func TestSpansOfInjectors(t *testing.T) {
	r := spanstest.Receive(t)
	w := newWorld(t)
	w.cfg.Tracer = spansTo(t, r, "test", slog.New(slog.DiscardHandler))
	var got basket
	w.host(w.seed("source", "-> T:A", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
		return errors.Join(emit("", "1"), emit("", "2"))
	}), w.seed("end", "T:A ->", got.run))
	w.start()
	testenv.Eventually(t, 20*time.Second, "four spans came", func() bool { return len(r.Spans()) >= 4 })
	roots := map[string]spanstest.Span{}
	for _, s := range r.Spans() {
		if s.Name == "source" {
			roots[s.ID] = s
		}
	}
	for _, s := range r.Spans() {
		switch root := roots[s.Parent]; {
		case s.Name == "source" && (s.Parent != "" || !strings.HasSuffix(s.Attributes["pumpkin.ship"], ":"+s.Trace)):
			t.Errorf("a root is %+v", s)
		case s.Name == "end" && (root.ID == "" || root.Trace != s.Trace):
			t.Errorf("a run is %+v, below %+v", s, root)
		}
	}
	if len(roots) != 2 {
		t.Errorf("%d roots, expected 2", len(roots))
	}
}

// TestSpansThatAreNotSampled has the sampler, or the sender, want none.
func TestSpansThatAreNotSampled(t *testing.T) {
	for _, c := range []struct {
		name, sampler string
		flags         byte
	}{{"by the sampler", "parentbased_always_off", 0}, {"by the sender", "", 0}} {
		t.Run(c.name, func(t *testing.T) {
			if c.sampler != "" {
				t.Setenv("OTEL_TRACES_SAMPLER", c.sampler)
			}
			r := spanstest.Receive(t)
			w := newWorld(t)
			tracer := spansTo(t, r, "test", slog.New(slog.DiscardHandler))
			w.cfg.Tracer = tracer
			var got basket
			w.host(w.seed("end", "T:A ->", got.run))
			w.start()
			sender := packet.TraceContext{Trace: [16]byte{1}, Span: [8]byte{2}}
			if c.sampler != "" {
				w.inject("T:A", "", nil)
			}
			w.inject("T:A", "", &packet.Wish{Trace: sender})
			testenv.Eventually(t, 20*time.Second, "all ran", func() bool { return got.count() >= 1 && w.quiet() })
			tracer.Close()
			if r.Requests() != 0 {
				t.Errorf("spans came: %+v", r.Spans())
			}
			if last := got.got[len(got.got)-1]; last.Wish == nil || last.Wish.Trace != sender {
				t.Errorf("the packet belongs to %+v, expected what its sender said", last.Wish)
			}
		})
	}
}

// TestSpansThatNobodyTakes loses no packet, says it once, and once that it is
// over.
func TestSpansThatNobodyTakes(t *testing.T) {
	var log testenv.Journal
	r := spanstest.Receive(t)
	r.Refuse(true)
	w := newWorld(t)
	w.cfg.Tracer = spansTo(t, r, "test", log.Log())
	var got basket
	w.host(w.seed("end", "T:A ->", got.run))
	w.start()
	sent := 0
	send := func(what string, cond func() bool) {
		testenv.Eventually(t, 20*time.Second, what, func() bool {
			if cond() {
				return true
			}
			w.inject("T:A", "", nil)
			sent++
			return false
		})
	}
	send("three batches were refused", func() bool { return r.Requests() >= 3 })
	r.Refuse(false)
	send("spans come", func() bool { return len(r.Spans()) > 0 && strings.Contains(log.String(), "sent again") })
	testenv.Eventually(t, 20*time.Second, "all packets have run", func() bool { return got.count() == sent })
	if text := log.String(); strings.Count(text, "cannot be sent") != 1 || strings.Count(text, "sent again") != 1 {
		t.Errorf("the log says\n%s", text)
	}
}
