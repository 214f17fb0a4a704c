package node

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
)

// TestTurns: few load at a time, those that packets wait for first, and who stops
// waiting takes no turn.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		var order []int
		begin := func(ctx context.Context, i int) *loading {
			l := &loading{hurry: turns.hurry}
			go func() {
				if turns.await(ctx, l) == nil {
					order = append(order, i)
				}
			}()
			synctest.Wait()
			return l
		}
		most := runtime.GOMAXPROCS(0)
		for range most {
			begin(t.Context(), 0)
		}
		ctx, cancel := context.WithCancel(t.Context())
		begin(ctx, 1)
		begin(t.Context(), 2)
		wanted := begin(t.Context(), 3)
		if len(order) != most {
			t.Fatalf("%d load at a time, expected %d", len(order), most)
		}
		wanted.want()
		synctest.Wait()
		cancel()
		synctest.Wait()
		turns.pass()
		synctest.Wait()
		if len(order) != most+1 || order[most] != 3 {
			t.Errorf("after the wanted one: %v", order)
		}
		turns.pass()
		synctest.Wait()
		if len(order) != most+2 || order[most+1] != 2 {
			t.Errorf("at the end: %v", order)
		}
		for range most {
			turns.pass()
		}
		if turns.taken != 0 || len(turns.line) != 0 {
			t.Errorf("%d are taken, %d wait", turns.taken, len(turns.line))
		}
	})
}
