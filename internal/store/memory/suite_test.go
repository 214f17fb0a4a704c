package memory_test

import (
	"context"
	"testing"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/memory"
	"github.com/recap/pumpkin/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Kind{
		Open: func(_ context.Context, _ string, size, reserve int64) (store.Store, error) {
			return memory.New(memory.Config{Size: size, Reserve: reserve}), nil
		},
		Promise: (*memory.Store)(nil).Promise(),
	})
}
