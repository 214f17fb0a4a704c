package testenv

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// recorder is a test that notes its end instead of ending.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(string, ...any) { r.skipped = true; runtime.Goexit() }

func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

// run calls f with a recorder and returns it once f has ended.
func run(t *testing.T, f func(t testing.TB)) *recorder {
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(r)
	}()
	<-ended
	return r
}

func TestNeed(t *testing.T) {
	for _, c := range []struct {
		name, ci, tool  string
		skipped, failed bool
	}{
		{"there", "", "sh", false, false},
		{"there in CI", "true", "sh", false, false},
		{"missing at home", "", "no-such-tool-here", true, false},
		{"missing, CI off", "false", "no-such-tool-here", true, false},
		{"missing in CI", "1", "no-such-tool-here", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			var path string
			r := run(t, func(t testing.TB) { path = Need(t, c.tool) })
			if r.skipped != c.skipped || r.failed != c.failed {
				t.Errorf("skipped %v, failed %v; expected %v, %v", r.skipped, r.failed, c.skipped, c.failed)
			}
			if found := !c.skipped && !c.failed; found && !filepath.IsAbs(path) {
				t.Errorf("path %q of %s; expected an absolute one", path, c.tool)
			}
		})
	}
}

func TestEventually(t *testing.T) {
	calls := 0
	if r := run(t, func(t testing.TB) {
		Eventually(t, time.Minute, "the third call", func() bool { calls++; return calls == 3 })
	}); r.failed || calls != 3 {
		t.Errorf("failed %v after %d calls; expected success at the third", r.failed, calls)
	}
	if r := run(t, func(t testing.TB) {
		Eventually(t, time.Millisecond, "never", func() bool { return false })
	}); !r.failed {
		t.Error("a condition that never holds did not fail the test")
	}
}
