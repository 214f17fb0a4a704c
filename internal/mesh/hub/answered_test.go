package hub

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/mesh"
)

// A request that was lost is made again; a refusal is final.
func TestAnswered(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		lost  int // so many first requests
		err   error
		takes time.Duration
		want  error
	}{
		"at once":       {0, nil, 0, nil},
		"two were lost": {2, nil, 2 * (callTime + strikeAfter), nil},
		"all are lost":  {1000, nil, joinTime, context.DeadlineExceeded},
		"refused":       {1, refused, callTime + strikeAfter, refused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, asked := time.Now(), 0
				err := answered(t.Context(), func(ctx context.Context) error {
					if asked++; asked <= c.lost {
						<-ctx.Done()
						return ctx.Err()
					}
					return c.err
				})
				if took := time.Since(begun); !errors.Is(err, c.want) || took != c.takes {
					t.Errorf("it ended with %v after %v", err, took)
				}
			})
		})
	}
}

// A card that was written although no answer came is the node's own.
func TestACardWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	watcher := dial(t, "w", s...).run("")
	b := dial(t, "b", s...)
	js, err := jetstream.New(b.conn)
	if err != nil {
		t.Fatal(err)
	}
	cards, err := js.KeyValue(t.Context(), "pmk_default_nodes")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(entry{mesh.Protocol, b.Card()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cards.Create(t.Context(), "b", data); err != nil {
		t.Fatal(err)
	}
	b.run("")
	b.eventually("w", long)
	watcher.eventually("b", long)
}
