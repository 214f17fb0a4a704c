package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestGrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Growing{First: time.Second, Most: 3 * time.Second}
		begun := time.Now()
		for _, want := range []time.Duration{1, 2, 3, 3} {
			if got := g.Next(); got != want*time.Second {
				t.Errorf("the next pause takes %v; expected %d s", got, want)
			}
			g.For(t.Context())
		}
		if got := time.Since(begun); got != 9*time.Second {
			t.Errorf("four pauses took %v; expected 9 s", got)
		}
		g.Reset()
		if g.Next() != time.Second {
			t.Errorf("after a reset the next pause takes %v", g.Next())
		}
	})
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		tries, told := 0, 0
		fails := func(times int) func() error {
			tries = 0
			return func() error {
				if tries++; tries <= times {
					return broken
				}
				return nil
			}
		}
		pauses := Growing{First: time.Second, Most: time.Minute}
		if err := pauses.Until(t.Context(), fails(3), func(error) { told++ }); err != nil || tries != 4 || told != 3 {
			t.Errorf("%d tries, %d failures told, %v; expected 4, 3 and no error", tries, told, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := pauses.Until(ctx, fails(100), func(error) {}); !errors.Is(err, broken) || tries != 2 {
			t.Errorf("%d tries in 2 s, %v; expected 2 and the last failure", tries, err)
		}
	})
}
