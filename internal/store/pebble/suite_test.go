package pebble_test

import (
	"context"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/store/storetest"
)

func TestDisk(t *testing.T) {
	storetest.Run(t, storetest.Kind{
		Open: func(ctx context.Context, o storetest.Options) (store.Store, error) {
			return pebble.Open(ctx, pebble.Config{Dir: o.Dir, Size: o.Size, Reserve: o.Reserve, Now: o.Now, FS: o.FS})
		},
		Promise: store.Promise{Kill: true, PowerLoss: true, Atomic: true, Replicas: 1},
		// What was leased is written at once, but nobody waits for it.
		Lag:   200 * time.Millisecond,
		Clock: true, FS: true,
	})
}

func TestMemory(t *testing.T) {
	storetest.Run(t, storetest.Kind{
		Open: func(ctx context.Context, o storetest.Options) (store.Store, error) {
			return pebble.Open(ctx, pebble.Config{Size: o.Size, Reserve: o.Reserve})
		},
		Promise: store.Promise{Atomic: true, Replicas: 1},
	})
}
