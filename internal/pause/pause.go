// Package pause waits for some time, or until a context ends.
package pause

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends, which it tells by false.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
