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
