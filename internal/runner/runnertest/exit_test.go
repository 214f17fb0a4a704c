package runnertest

import (
	"errors"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// What a run says of its failure, by its exit status or by what it raises, arrives.
func TestHowARunFailed(t *testing.T) {
	testenv.Need(t, "python3")
	final, later := runner.Fault{Final: true}, runner.Fault{Later: true}
	for _, c := range []struct {
		shell, python string
		want          runner.Fault
	}{
		{shell: "exit 65", want: final},
		{shell: "exit 75", want: later},
		{shell: "exit 1"},
		{python: "raise Fail('no')", want: final},
		{python: "raise Retry('away', after=90)", want: runner.Fault{Later: true, After: 90 * time.Second}},
		{python: "raise Retry('away')", want: later},
		{python: "os._exit(65)", want: final}, // the whole worker
		{python: "raise ValueError('no')"},
	} {
		for _, mode := range []seed.Mode{seed.PerPacket, seed.Lines} {
			m := seed.Manifest{Name: "seed", Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
			var b *bench
			switch {
			case c.python == "":
				// One that ends before it has read its line had nothing to do.
				b = shell(t, "read line; "+c.shell, 0, func(m *seed.Manifest) { m.Mode = mode })
			case mode == seed.Lines:
				continue
			default:
				m.File = write(t, "seed.py", "import os\nfrom pumpkin import Fail, Retry\ndef run(data):\n    "+c.python+"\n")
				r, err := python.Open(m, runner.Env{})
				if err != nil {
					t.Fatal(err)
				}
				b = &bench{t: t, r: r}
			}
			sink, err := b.run(b.worker(), "x")
			var f *runner.Fault
			if !errors.As(errors.Join(append(sink.Dones, err)...), &f) {
				t.Fatalf("%+v failed with %v", c, err)
			}
			if got := (runner.Fault{Final: f.Final, Later: f.Later, After: f.After, Cut: f.Cut}); got != c.want {
				t.Errorf("%+v in mode %q failed with %+v", c, mode, got)
			}
		}
	}
}
