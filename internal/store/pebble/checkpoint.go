package pebble

import (
	"errors"
	"fmt"
	"path/filepath"

	engine "github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes a copy of the store in a data folder, which has none: all that
// was committed when it is called, and of each later transaction all or nothing.
// Files that do not change any more are hard links where that can be. Commits go on
// meanwhile.
func (s *storage) Checkpoint(dir string) error {
	if s.memory {
		return errors.New("copy the store: it is in memory")
	}
	if err := s.trouble(); err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	if err := s.begin(); err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	defer s.reads.Done()
	if err := s.db.Checkpoint(filepath.Join(dir, engineDir), engine.WithFlushedWAL()); err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	return nil
}
