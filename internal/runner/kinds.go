package runner

import (
	"context"
	"fmt"

	"github.com/recap/pumpkin/seed"
)

// Traits are what a runner can do with a seed, so that nobody has to ask of which kind
// the seed is.
type Traits struct {
	// InProcess: workers are part of the node. They need no loading, and cost nothing
	// while they have nothing to do.
	InProcess bool
	// Inline: a run may be called where its packet is, instead of from a queue.
	Inline bool
	// Streams: runs read large data from [Env.Blobs] themselves. Of others it is in
	// memory.
	Streams bool
	// Pours: an injector gives what it has read at its source without waiting until that
	// is safe, and is heard to its end for it.
	Pours bool
}

// A Kind is one kind of runner.
type Kind struct {
	Traits func(m seed.Manifest) Traits
	// Open makes the runner for a seed. It checks what can be checked without
	// starting anything.
	Open func(m seed.Manifest, env Env) (Runner, error)
	// Look tells what is wrong with a seed as far as this machine shows it without
	// running the seed; nil looks at nothing beyond what Open does.
	Look func(ctx context.Context, m seed.Manifest, env Env) error
}

// Kinds are the kinds that a node has.
type Kinds map[seed.Kind]Kind

// Traits are those of the seed's kind.
func (k Kinds) Traits(m seed.Manifest) Traits {
	kind, ok := k[m.Kind]
	if !ok {
		return Traits{}
	}
	return kind.Traits(m)
}

// Open makes the runner for a seed.
func (k Kinds) Open(m seed.Manifest, env Env) (Runner, error) {
	kind, ok := k[m.Kind]
	if !ok {
		return nil, fmt.Errorf("seeds of the kind %q are not run yet", m.Kind)
	}
	return kind.Open(m, env)
}

// Look tells what is wrong with a seed without running it.
func (k Kinds) Look(ctx context.Context, m seed.Manifest, env Env) error {
	if _, err := k.Open(m, env); err != nil {
		return err
	}
	if look := k[m.Kind].Look; look != nil {
		return look(ctx, m, env)
	}
	return nil
}

// With are these kinds, with environments that change has changed.
func (k Kinds) With(change func(m seed.Manifest, env *Env)) Kinds {
	out := Kinds{}
	for name, kind := range k {
		open, look := kind.Open, kind.Look
		kind.Open = func(m seed.Manifest, env Env) (Runner, error) {
			change(m, &env)
			return open(m, env)
		}
		if look != nil {
			kind.Look = func(ctx context.Context, m seed.Manifest, env Env) error {
				change(m, &env)
				return look(ctx, m, env)
			}
		}
		out[name] = kind
	}
	return out
}
