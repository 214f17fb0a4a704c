package runner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/seed"
)

func TestKinds(t *testing.T) {
	none := gofn.Kind(func(seed.Manifest) gofn.Func { return nil })
	kinds := runner.Kinds{seed.Go: none, seed.Python: python.Kind, seed.Process: process.Kind}
	for _, c := range []struct {
		m    seed.Manifest
		want runner.Traits
	}{
		{seed.Manifest{Kind: seed.Go}, runner.Traits{InProcess: true, Inline: true}},
		{seed.Manifest{Kind: seed.Go, Timeout: time.Second}, runner.Traits{InProcess: true}},
		{seed.Manifest{Kind: seed.Python}, runner.Traits{Streams: true}},
		{seed.Manifest{Kind: seed.Process}, runner.Traits{Streams: true}},
		{seed.Manifest{Kind: seed.Process, Mode: seed.Lines}, runner.Traits{Pours: true}},
		{seed.Manifest{Kind: seed.Wasm}, runner.Traits{}},
	} {
		if got := kinds.Traits(c.m); got != c.want {
			t.Errorf("%s %s: %+v; expected %+v", c.m.Kind, c.m.Mode, got, c.want)
		}
	}
	for _, c := range []struct{ kind, want string }{{"wasm", `"wasm" are not run yet`}, {"go", "no function of the name work"}} {
		_, err := kinds.Open(seed.Manifest{Kind: seed.Kind(c.kind), Name: "work"}, runner.Env{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.kind, err)
		}
	}
}
