package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/recap/pumpkin/seed"
)

// ErrRefused is a seed that this node does not host, though it is well formed.
var ErrRefused = errors.New("refused")

// Host takes seeds in, in place of those of the same name and file, which finish what
// they have. The errors stand in the order of ms; nil is success. Go functions run when
// it returns. Others are acceptors then, and are loaded in the background, again and
// again while that fails: see [Node.Loaded]. One that is to take the place of a seed that
// runs does so when it is loaded.
func (r *roster) Host(ctx context.Context, ms ...seed.Manifest) []error {
	r.Recall()
	r.change.Lock()
	for _, m := range ms {
		r.told[m.Name] = true
	}
	r.change.Unlock()
	errs := make([]error, len(ms))
	fresh := make([]*host, len(ms))
	for i, m := range ms {
		fresh[i], errs[i] = r.newHost(ctx, m)
	}

	r.change.Lock()
	defer r.change.Unlock()
	hosts := maps.Clone(r.snap.Load().hosts)
	if hosts == nil {
		hosts = map[seed.Name]*host{}
	}
	var old []*host
	for i, h := range fresh {
		if h == nil {
			continue
		}
		before := hosts[h.manifest.Name]
		conflict := r.conflict(h.manifest)
		switch {
		case r.closed || r.injecting.Err() != nil:
			errs[i] = ErrDraining
		case before != nil && before.manifest.File != h.manifest.File:
			errs[i] = fmt.Errorf("seed %s of %s: %w: %s already gives a seed of this name; rename one with a line \"pmk-name: NAME\"",
				h.name, where(h.manifest), ErrRefused, where(before.manifest))
		case conflict != "":
			errs[i] = fmt.Errorf("seed %s of %s: %w: %s", h.name, where(h.manifest), ErrRefused, conflict)
			if before == nil {
				r.setRefused(h.manifest, conflict)
			}
		default:
			delete(r.refused, h.manifest.Name)
			r.dropNext(h.manifest.Name)
			h.first = !r.begun || before != nil && before.first
			if !h.InProcess {
				r.startLoading(h, nil)
				if before != nil && before.unloaded.Load() == nil {
					r.next[h.manifest.Name], fresh[i] = h, nil
					continue
				}
			}
			if before != nil {
				old = append(old, before)
				h.inherit(before)
			}
			hosts[h.manifest.Name] = h
			continue
		}
		r.closeSlots(h)
		fresh[i] = nil
	}
	r.swap(hosts, old)
	for _, h := range fresh {
		if h != nil {
			r.startInjector(h)
		}
	}
	return errs
}

// Unhost ends the seeds of these names: they finish what runs, and what was
// queued for them is routed anew.
func (r *roster) Unhost(names ...seed.Name) {
	r.change.Lock()
	defer r.change.Unlock()
	hosts := maps.Clone(r.snap.Load().hosts)
	var old []*host
	for _, name := range names {
		delete(r.refused, name)
		r.dropNext(name)
		delete(r.told, name)
		if h := hosts[name]; h != nil {
			old = append(old, h)
			delete(hosts, name)
		}
	}
	r.swap(hosts, old)
}

// Hostable says why no node hosts a seed; nil is that one does.
func Hostable(m seed.Manifest) error {
	if m.Contract.Join {
		return fmt.Errorf("its contract %q is a join, and joins are not run yet", m.Contract)
	}
	return nil
}

// newHost makes the host of m, and opens what needs no loading.
func (r *roster) newHost(ctx context.Context, m seed.Manifest) (*host, error) {
	if m.Group != "" && m.Group != r.cfg.Group {
		return nil, fmt.Errorf("seed %s of %s: %w: it belongs to the group %s, this node to %s; start a node with --group %s",
			m.Name, where(m), ErrRefused, m.Group, r.cfg.Group, m.Group)
	}
	if err := Hostable(m); err != nil {
		return nil, fmt.Errorf("seed %s of %s: %w: %w", m.Name, where(m), ErrRefused, err)
	}
	if !r.cfg.Kinds.Traits(m).InProcess {
		return r.newSeed(m, nil), nil
	}
	run, err := r.openRunner(m)
	if err != nil {
		return nil, fmt.Errorf("seed %s of %s: %w", m.Name, where(m), err)
	}
	h := r.newSeed(m, run)
	if err := r.openAll(ctx, h); err != nil {
		return nil, fmt.Errorf("seed %s of %s: %w", m.Name, where(m), err)
	}
	return h, nil
}

// Seeds lists what the node hosts, by name.
func (r *roster) Seeds() []seed.Manifest {
	var out []seed.Manifest
	snap := r.snap.Load()
	for _, name := range slices.Sorted(maps.Keys(snap.hosts)) {
		out = append(out, snap.hosts[name].declared())
	}
	return out
}
