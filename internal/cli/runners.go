package cli

import (
	"fmt"

	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/seed"
)

// openerIn is opener, with the files of seeds running from snapshots in dir, and those in
// Python that name none in this one; "" is none. uses learns what they import.
func (p Program) openerIn(dir, python string, uses *load.Uses) runner.Opener {
	open := p.opener()
	return func(m seed.Manifest, env runner.Env) (runner.Runner, error) {
		env.Snapshots, env.Python = dir, python
		env.Uses = func(imported []string, version string) { uses.Loaded(m.File, imported, version) }
		return open(m, env)
	}
}

// opener is where each kind of seed meets what runs it.
func (p Program) opener() runner.Opener {
	fns := map[seed.Name]gofn.Func{}
	for _, s := range p.Seeds {
		fns[s.Manifest.Name] = s.Run
	}
	return func(m seed.Manifest, env runner.Env) (runner.Runner, error) {
		switch m.Kind {
		case seed.Go:
			return gofn.Open(m, fns[m.Name]), nil
		case seed.Python:
			return python.Open(m, env)
		case seed.Process:
			return process.Open(m, env)
		case seed.Wasm:
			return nil, fmt.Errorf("WebAssembly seeds are not run yet")
		}
		return nil, fmt.Errorf("there is no kind of seed %q", m.Kind)
	}
}
