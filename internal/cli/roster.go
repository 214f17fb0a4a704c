package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/seed"
)

// A roster decides which seeds a node hosts: those of the program, of files
// and of watched folders.
type roster struct {
	node    *node.Node
	log     *slog.Logger
	without []string
	asked   []string        // files that were named with --seed
	paths   []string        // files and folders to load and to watch
	named   []seed.Manifest // their seeds, which are hosted
	uses    *load.Uses
	wrong   map[string]string // what was said of files that declare a seed wrongly
	at      string            // where others reach this node
}

// begin hosts what there is at the start.
func (r *roster) begin(ctx context.Context, program Program, asked, paths []string) error {
	r.asked, r.paths = asked, append(slices.Clone(asked), paths...)
	ms := program.hosts(r.paths)
	for _, path := range r.paths {
		info, err := os.Stat(path)
		if err != nil {
			return noSeedError{noFile(path, err)}
		}
		if info.IsDir() {
			found, errs := r.uses.Folder(path)
			for _, err := range errs {
				r.sayWrong(seedFileOf(err), err, "")
			}
			if len(found) == 0 && len(errs) == 0 {
				r.log.Info(fmt.Sprintf("the folder %s holds no seeds yet: a file with a line such as \"# pmk: String:RAW -> String:CLEAN\" is loaded as soon as it is there; subfolders are not searched", path))
			}
			ms = append(ms, found...)
			continue
		}
		m, err := r.uses.File(path)
		if err != nil {
			return noSeedError{err}
		}
		ms = append(ms, m)
	}
	ms = slices.DeleteFunc(ms, func(m seed.Manifest) bool { return !r.wanted(m) })
	byFlow(ms)
	var failed error
	for i, err := range r.host(ctx, ms...) {
		switch {
		case !slices.Contains(asked, ms[i].File):
		case err != nil:
			failed = errors.Join(failed, notLoaded(ms[i]))
		default:
			r.named = append(r.named, ms[i])
		}
	}
	return failed
}

// awaitNamed waits until the seeds are loaded that were named with --seed: one that
// fails to at first ends the node.
func (r *roster) awaitNamed(ctx context.Context) error {
	for _, m := range r.named {
		if r.node.Loaded(ctx, m.Name) != nil && ctx.Err() == nil {
			return notLoaded(m)
		}
	}
	return nil
}

func notLoaded(m seed.Manifest) error {
	return noSeedError{fmt.Errorf("%s could not be loaded", m.File)}
}

// wanted tells whether a seed is to be hosted, and says why not.
func (r *roster) wanted(m seed.Manifest) bool {
	switch {
	case slices.Contains(r.without, string(m.Name)):
		r.log.Info(fmt.Sprintf("seed %s is left out: --without", m.Name), "seed", m.Name)
		return false
	case m.OnRequest && !slices.Contains(r.asked, m.File):
		r.log.Info(fmt.Sprintf("seed %s of %s is left out: it says pmk-load: no; --seed %s loads it", m.Name, m.File, m.File), "seed", m.Name)
		return false
	case m.Group != "" && m.Group != r.node.Group():
		from := ""
		if m.File != "" {
			from = " of " + m.File
		}
		r.log.Info(fmt.Sprintf("seed %s%s is left out: it belongs to the group %s", m.Name, from, m.Group), "seed", m.Name)
		return false
	}
	return true
}

// host hosts seeds and says what came of it.
func (r *roster) host(ctx context.Context, ms ...seed.Manifest) []error {
	errs := r.node.Host(ctx, ms...)
	wideName, wide := 0, 0
	for _, m := range ms {
		wideName, wide = max(wideName, len(m.Name)), max(wide, len(m.Contract.String()))
	}
	for i, m := range ms {
		if errs[i] != nil {
			r.log.Error(errs[i].Error())
			continue
		}
		r.log.Info(fmt.Sprintf("discovered seed %-*s %-*s at %s", wideName, m.Name, wide, m.Contract, r.at), "seed", m.Name)
		if m.Once && !r.node.Remembers() {
			r.log.Info(fmt.Sprintf("seed %s has pmk-once: without a store on disk, the node remembers only until it ends that the seed has run", m.Name), "seed", m.Name)
		}
	}
	return errs
}

// watch follows the files until ctx ends.
func (r *roster) watch(ctx context.Context) {
	if len(r.paths) > 0 {
		load.Watch(ctx, r.paths, r.uses, func(path string) { r.change(ctx, path) }, r.log)
	}
}

// change takes in what became of one file.
func (r *roster) change(ctx context.Context, path string) {
	before := r.of(path)
	m, err := r.uses.File(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		delete(r.wrong, path)
	}
	version := r.uses.Version(m)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, load.ErrNoSeed):
		r.uses.Forget(path)
		if before != nil {
			r.node.Unhost(before.Name)
			r.log.Info(fmt.Sprintf("seed %s was removed: %s", before.Name, path), "seed", before.Name)
		}
	case err != nil:
		r.sayWrong(path, err, r.keeps(before))
	case before != nil && before.Version == version:
		r.node.Keep(before.Name)
	case before != nil && r.uses.Newest(path) == version: // it is about to take the place
	case !r.wanted(m):
	default:
		if errs := r.host(ctx, m); errs[0] == nil && before != nil && before.Name != m.Name {
			r.node.Unhost(before.Name)
		} else if errs[0] != nil && before != nil {
			r.log.Warn("seed "+string(before.Name)+r.keeps(before), "seed", before.Name)
		}
	}
}

// sayWrong says what is wrong with a file, and what follows, unless it was said before.
func (r *roster) sayWrong(path string, err error, more string) {
	if r.wrong[path] == err.Error() {
		return
	}
	if r.wrong == nil {
		r.wrong = map[string]string{}
	}
	r.wrong[path] = err.Error()
	r.log.Error(err.Error() + more)
}

// seedFileOf is the file of which an error of the package load speaks.
func seedFileOf(err error) string {
	var at *seed.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &at):
		return at.File
	case errors.As(err, &path):
		return path.Path
	}
	return ""
}

// of is the seed that the node hosts of that file, or nil.
func (r *roster) of(path string) *seed.Manifest {
	for _, m := range r.node.Seeds() {
		if m.File == path {
			return &m
		}
	}
	for _, r := range r.node.Refused() {
		if r.Manifest.File == path {
			return &r.Manifest
		}
	}
	return nil
}

func (r *roster) keeps(before *seed.Manifest) string {
	if before == nil {
		return ""
	}
	return "; the seed " + string(before.Name) + " continues unchanged"
}

// byFlow sorts seeds as data flows through them: injectors first.
func byFlow(ms []seed.Manifest) {
	depth := make(map[seed.Name]int, len(ms))
	for _, m := range ms {
		if !m.Contract.Injector() {
			depth[m.Name] = len(ms)
		}
	}
	for changed := true; changed; {
		changed = false
		for _, from := range ms {
			for _, to := range ms {
				if next := depth[from.Name] + 1; next < depth[to.Name] && slices.ContainsFunc(from.Contract.Out, to.Contract.Takes) {
					depth[to.Name], changed = next, true
				}
			}
		}
	}
	slices.SortStableFunc(ms, func(a, b seed.Manifest) int { return depth[a.Name] - depth[b.Name] })
}
