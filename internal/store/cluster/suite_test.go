package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/storetest"
)

// serversEnv tells the processes that the suite kills where the cluster is.
const serversEnv = "PMK_TEST_NATS"

// TestStore runs the suite on one cluster of three servers, each store in a
// group of its own.
func TestStore(t *testing.T) {
	if os.Getenv(serversEnv) == "" {
		t.Setenv(serversEnv, startServers(t, 3, nil).url())
	}
	storetest.Run(t, storetest.Kind{
		Open: func(ctx context.Context, o storetest.Options) (store.Store, error) {
			return Open(ctx, Config{
				URLs: strings.Split(os.Getenv(serversEnv), ","), Group: groupOf(o.Dir), Size: o.Size, Reserve: o.Reserve,
			})
		},
		Promise: store.Promise{Kill: true, PowerLoss: true, Replicas: 3},
		Queues:  16,
		Serial:  true,
		Delay:   3 * time.Second,
	})
}

// groupOf is the group whose store stands for the folder.
func groupOf(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "g" + hex.EncodeToString(sum[:6])
}
