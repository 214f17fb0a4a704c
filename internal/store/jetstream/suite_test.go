package jetstream_test

import (
	"context"
	"testing"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/jetstream"
	"github.com/recap/pumpkin/internal/store/storetest"
)

func kind(memory bool) storetest.Kind {
	return storetest.Kind{
		Open: func(ctx context.Context, dir string, size, reserve int64) (store.Store, error) {
			if memory {
				dir = ""
			}
			return jetstream.Open(ctx, jetstream.Config{Dir: dir, Size: size, Reserve: reserve, Memory: memory})
		},
		Promise: store.Promise{Kill: !memory, PowerLoss: !memory},
	}
}

func TestStore(t *testing.T)       { storetest.Run(t, kind(false)) }
func TestMemoryStore(t *testing.T) { storetest.Run(t, kind(true)) }
