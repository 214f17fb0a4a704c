package node

import (
	"testing"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestLedgerEnded: each stay goes on, waits, is kept, or has ended.
func TestLedgerEnded(t *testing.T) {
	l := Ledger{
		Begun: 20, Live: 2,
		Waiting: map[packet.State]int{"T:A": 3, "Error:s": 4},
		Kept:    map[seed.Name]int{"away": 5},
		Held:    map[string]int{"of those that are live": 1},
	}
	if got := l.Ended(); got != 6 {
		t.Errorf("%d have ended, want 6", got)
	}
	if got := (Ledger{}).Ended(); got != 0 {
		t.Errorf("%d have ended of none", got)
	}
}
