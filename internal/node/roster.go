package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// ErrRefused is a seed that this node does not host, though it is well formed.
var ErrRefused = errors.New("refused")

// Host takes seeds in, in place of those of the same name and file, which finish what
// they have. The errors stand in the order of ms; nil is success. Go functions run when
// it returns. Others are acceptors then, and are loaded in the background, again and
// again while that fails: see [Node.Loaded]. One that is to take the place of a seed that
// runs does so when it is loaded.
func (n *Node) Host(ctx context.Context, ms ...seed.Manifest) []error {
	n.Recall()
	n.change.Lock()
	for _, m := range ms {
		n.told[m.Name] = true
	}
	n.change.Unlock()
	errs := make([]error, len(ms))
	fresh := make([]*host, len(ms))
	for i, m := range ms {
		fresh[i], errs[i] = n.newSeed(ctx, m)
	}

	n.change.Lock()
	defer n.change.Unlock()
	hosts := maps.Clone(n.snap.Load().hosts)
	if hosts == nil {
		hosts = map[seed.Name]*host{}
	}
	var old []*host
	for i, h := range fresh {
		if h == nil {
			continue
		}
		before := hosts[h.manifest.Name]
		conflict := n.conflict(h.manifest)
		switch {
		case n.closed || n.injecting.Err() != nil:
			errs[i] = ErrDraining
		case before != nil && before.manifest.File != h.manifest.File:
			errs[i] = fmt.Errorf("seed %s of %s: %w: %s already gives a seed of this name; rename one with a line \"pmk-name: NAME\"",
				h.name, where(h.manifest), ErrRefused, where(before.manifest))
		case conflict != "":
			errs[i] = fmt.Errorf("seed %s of %s: %w: %s", h.name, where(h.manifest), ErrRefused, conflict)
			if before == nil {
				n.setRefused(h.manifest, conflict)
			}
		default:
			delete(n.refused, h.manifest.Name)
			n.dropNext(h.manifest.Name)
			h.first = !n.begun || before != nil && before.first
			if h.manifest.Kind != seed.Go {
				n.startLoading(h, nil)
				if before != nil && before.unloaded.Load() == nil {
					n.next[h.manifest.Name], fresh[i] = h, nil
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
		h.closeSlots()
		fresh[i] = nil
	}
	n.swap(hosts, old)
	for _, h := range fresh {
		if h != nil {
			n.startInjector(h)
		}
	}
	return errs
}

// Unhost ends the seeds of these names: they finish what runs, and what was
// queued for them is routed anew.
func (n *Node) Unhost(names ...seed.Name) {
	n.change.Lock()
	defer n.change.Unlock()
	hosts := maps.Clone(n.snap.Load().hosts)
	var old []*host
	for _, name := range names {
		delete(n.refused, name)
		n.dropNext(name)
		delete(n.told, name)
		if h := hosts[name]; h != nil {
			old = append(old, h)
			delete(hosts, name)
		}
	}
	n.swap(hosts, old)
}

// swap makes hosts, and what the peers host, the network, has the seeds pulled
// for, and retires old in the background. The caller holds n.change.
func (n *Node) swap(hosts map[seed.Name]*host, old []*host) {
	before := n.snap.Load()
	n.keepPaused(hosts)
	n.resubscribe(hosts)
	snap := n.newSnapshot(hosts, n.peers, n.subs)
	if refused := n.refuse(hosts, snap.net); len(refused) > 0 {
		old = append(old, refused...)
		n.resubscribe(hosts)
		snap = n.newSnapshot(hosts, n.peers, n.subs)
	}
	for _, h := range old {
		n.leaving[h] = true
		h.shared = map[packet.State]bool{}
		for state, to := range before.accept {
			h.shared[state] = len(to) > 1
		}
	}
	for _, h := range hosts {
		snap.connect(h)
	}
	for h := range n.leaving {
		snap.connect(h)
	}
	n.snap.Store(snap)
	n.tellAway(snap)
	if len(snap.ended) > 0 {
		select {
		case n.orphaned <- struct{}{}:
		default: // it looks at the newest anyway
		}
	}
	n.say()
	for _, h := range hosts {
		n.startPull(h, n.peers)
	}
	for _, h := range before.hosts {
		h.queue.recheck()
	}
	for _, h := range old {
		n.goroutines.Go(func() {
			h.retire()
			n.change.Lock()
			delete(n.leaving, h)
			n.change.Unlock()
		})
	}
	select {
	case n.changed <- struct{}{}:
	default: // Run will look at the newest anyway
	}
}

// leftCount counts the seeds that were replaced or removed and still finish what
// they have.
func (n *Node) leftCount() int {
	n.change.Lock()
	defer n.change.Unlock()
	return len(n.leaving)
}

// newSeed makes the host of m; a Go function is loaded.
func (n *Node) newSeed(ctx context.Context, m seed.Manifest) (*host, error) {
	if m.Group != "" && m.Group != n.cfg.Group {
		return nil, fmt.Errorf("seed %s of %s: %w: it belongs to the group %s, this node to %s; start a node with --group %s",
			m.Name, where(m), ErrRefused, m.Group, n.cfg.Group, m.Group)
	}
	if m.Contract.Join {
		return nil, fmt.Errorf("seed %s of %s: %w: its contract %q is a join, and joins are not run yet", m.Name, where(m), ErrRefused, m.Contract)
	}
	if m.Kind != seed.Go {
		return newHost(n, m, nil), nil
	}
	r, err := n.openRunner(m)
	if err != nil {
		return nil, fmt.Errorf("seed %s of %s: %w", m.Name, where(m), err)
	}
	h := newHost(n, m, r)
	if err := h.load(ctx); err != nil {
		return nil, fmt.Errorf("seed %s of %s: %w", m.Name, where(m), err)
	}
	return h, nil
}

func (n *Node) openRunner(m seed.Manifest) (runner.Runner, error) {
	return n.cfg.Open(m, runner.Env{
		Node: n.cfg.Name, MaxData: n.cfg.MaxData, Stores: n.stored(), Blobs: n.runnerBlobs(), LoadTimeout: n.cfg.LoadTimeout,
		Print: func(line string) error { return n.cfg.Print(m, line) },
		Warn:  func(line string) { n.log.Warn(line) },
	})
}

func where(m seed.Manifest) string {
	if m.File == "" {
		return "this program"
	}
	return m.File
}

// Seeds lists what the node hosts, by name.
func (n *Node) Seeds() []seed.Manifest {
	var out []seed.Manifest
	snap := n.snap.Load()
	for _, name := range slices.Sorted(maps.Keys(snap.hosts)) {
		out = append(out, snap.hosts[name].declared())
	}
	return out
}
