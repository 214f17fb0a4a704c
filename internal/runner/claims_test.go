package runner

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestClaims: each run of a batch is begun or given back, and never both.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Claims
		for _, test := range []struct {
			runs  int
			long  int // the run that takes long; -1 for none
			begun int
			from  int // of what is given back; -1 for nothing
		}{
			{runs: 0, long: -1, begun: 0, from: -1},
			{runs: 1, long: 0, begun: 1, from: -1},
			{runs: 5, long: -1, begun: 5, from: -1},
			{runs: 5, long: 0, begun: 1, from: 1},
			{runs: 5, long: 3, begun: 4, from: 4},
			{runs: 5, long: 4, begun: 5, from: -1},
		} {
			begun, from := 0, -1
			c.Start(test.runs, func(i int) { from = i })
			for i, ok := c.Next(); ok; i, ok = c.Next() {
				if i != begun {
					t.Errorf("%+v: run %d begins after %d", test, i, begun)
				}
				begun++
				if i == test.long {
					time.Sleep(2 * GiveBack)
				}
			}
			c.End()
			if begun != test.begun || from != test.from {
				t.Errorf("%+v: %d have begun, those from %d on were given back", test, begun, from)
			}
			time.Sleep(2 * GiveBack) // the next one is not bothered
		}
	})
}

// TestClaimsOfTheNextBatch: a timer that runs out when its batch ends gives back nothing of
// the next one.
func TestClaimsOfTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Claims
		for _, runs := range []int{1, 5} {
			c.Start(5, func(int) {})
			for _, ok := c.Next(); ok; {
				_, ok = c.Next()
			}
			c.End()
			from := -1
			c.Start(runs, func(i int) { from = i })
			c.giveBack() // as if it had waited until now
			if from >= 0 {
				t.Errorf("of %d runs, those from %d on were given back at once", runs, from)
			}
			if i, ok := c.Next(); i != 0 || !ok {
				t.Errorf("of %d runs, the first is %d, %v", runs, i, ok)
			}
			time.Sleep(2 * GiveBack)
			synctest.Wait()
			if want := map[int]int{1: -1, 5: 1}[runs]; from != want {
				t.Errorf("of %d runs, those from %d on were given back; expected %d", runs, from, want)
			}
			c.End()
		}
	})
}
