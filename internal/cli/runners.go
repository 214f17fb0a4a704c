package cli

import (
	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/seed"
)

// kindsIn are kinds, with the files of seeds running from snapshots in dir, and those in
// Python that name none in this one; "" is none. uses learns what they import.
func (p Program) kindsIn(dir, python string, uses *load.Uses) runner.Kinds {
	return p.kinds().With(func(m seed.Manifest, env *runner.Env) {
		env.Snapshots, env.Python = dir, python
		env.Uses = func(imported []string, version string) { uses.Loaded(m.File, imported, version) }
	})
}

// kinds is where each kind of seed meets what runs it.
func (p Program) kinds() runner.Kinds {
	fns := map[seed.Name]gofn.Func{}
	for _, s := range p.Seeds {
		fns[s.Manifest.Name] = s.Run
	}
	return runner.Kinds{
		seed.Go:      gofn.Kind(func(m seed.Manifest) gofn.Func { return fns[m.Name] }),
		seed.Python:  python.Kind,
		seed.Process: process.Kind,
	}
}
