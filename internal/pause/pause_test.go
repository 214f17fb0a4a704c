package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if !For(ctx, 2*time.Second) || time.Since(begun) != 2*time.Second {
			t.Errorf("a pause of 2 s took %v, or was cut short", time.Since(begun))
		}
		if !For(ctx, -time.Second) || time.Since(begun) != 2*time.Second {
			t.Error("a pause below zero took time, or was cut short")
		}
		if For(ctx, 2*time.Second) || time.Since(begun) != 3*time.Second {
			t.Errorf("with a context of 3 s, the second pause of 2 s came to its end after %v", time.Since(begun))
		}
	})
}
