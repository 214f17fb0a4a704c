package bench

import (
	"context"
	"errors"
	"os"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// openDisk opens the store on disk that every measurement uses, in a folder.
func openDisk(ctx context.Context, dir string) (store.Store, error) {
	return pebble.Open(ctx, pebble.Config{Dir: dir})
}

// disk opens a store on disk in a new folder, and gives what removes it.
func disk(ctx context.Context) (storage, func() error, error) {
	dir, err := os.MkdirTemp(".", "pmk-bench-")
	if err != nil {
		return storage{}, nil, err
	}
	s, err := openDisk(ctx, dir)
	if err != nil {
		return storage{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return storage{s, node.Disk}, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

// A storage is where a chain's packets are stored.
type storage struct {
	store      store.Store
	durability node.Durability
}

// inMemory is for the packets of a chain that need no store.
func inMemory() storage { return storage{pebble.InMemory(pebble.Config{}), node.None} }
