package node

import (
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/seed"
)

// TestIdleWorkersEndUnlessTheyAreTheOnlyOne looks at workers that have had nothing to do for ninety
// seconds.
func TestIdleWorkersEndUnlessTheyAreTheOnlyOne(t *testing.T) {
	for name, c := range map[string]struct {
		contract string
		change   func(*seed.Manifest)
		stays    bool
	}{
		"several":         {"A:A ->", func(m *seed.Manifest) { m.Workers = 2 }, false},
		"one":             {"A:A ->", func(m *seed.Manifest) { m.Workers = 1 }, true},
		"one, if it says": {"A:A ->", func(m *seed.Manifest) { m.Workers, m.Idle = 1, time.Minute }, false},
		"long":            {"A:A ->", func(m *seed.Manifest) { m.Workers, m.Idle = 2, 2*time.Minute }, true},
		"never":           {"A:A ->", func(m *seed.Manifest) { m.Workers, m.Idle = 2, seed.Never }, true},
		"an injector":     {"-> A:A", func(*seed.Manifest) {}, true},
	} {
		w := newWorld(t)
		m := w.seed("work", c.contract, give("x"))
		m.Kind = seed.Process
		c.change(&m)
		h := newHost(m, w.cfg.Kinds.Traits(m), nil)
		r, err := w.cfg.Kinds.Open(seed.Manifest{Name: "work", Kind: seed.Go}, runner.Env{})
		if err != nil {
			t.Fatal(err)
		}
		h.runner = r
		if err := w.openAll(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		w.reap(h, w.clock.now()+90*time.Second)
		if stays := h.slots[0].worker != nil; stays != c.stays {
			t.Errorf("%s: the worker stays: %v", name, stays)
		}
		w.goroutines.Wait()
	}
}
