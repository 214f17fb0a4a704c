package pause

import (
	"context"
	"time"
)

// Growing are pauses of which each is twice as long as the one before, from First up to
// Most.
type Growing struct {
	First, Most time.Duration

	next time.Duration
}

// Next is how long the next one is.
func (g *Growing) Next() time.Duration { return min(max(g.next, g.First), g.Most) }

// For waits for the next one, or until ctx ends, which it tells by false.
func (g *Growing) For(ctx context.Context) bool {
	d := g.Next()
	g.next = 2 * d
	return For(ctx, d)
}

// Reset has the next one be the first again.
func (g *Growing) Reset() { g.next = 0 }

// Until calls do until it succeeds, with growing pauses, and gives each failure to failed.
// When ctx ends it gives up, and returns the last failure.
func (g Growing) Until(ctx context.Context, do func() error, failed func(error)) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		failed(err)
		if !g.For(ctx) {
			return err
		}
	}
}
