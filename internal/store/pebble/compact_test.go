package pebble

import (
	"fmt"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// TestCompactionsGoOn: tables that come while one compaction goes on are compacted as well,
// though nobody looks from time to time whether more may be.
func TestCompactionsGoOn(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	value := make([]byte, 1<<10)
	for round := range 60 {
		tx := &store.Tx{}
		for i := range 20 {
			tx.Put = append(tx.Put, store.Record{Key: store.Key{In: "some", Key: fmt.Sprint(i)}, Value: append(value, byte(round))})
		}
		if err := s.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil { // each is a table that overlaps all others
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, time.Minute, "few tables are left", func() bool {
		m := s.db.Metrics()
		return m.Compact.Count > 1 && m.Compact.NumInProgress == 0 && m.Levels[0].Sublevels < 8
	})
	m := s.db.Metrics()
	t.Logf("%d compactions; %d layers of tables are at the top", m.Compact.Count, m.Levels[0].Sublevels)
}
